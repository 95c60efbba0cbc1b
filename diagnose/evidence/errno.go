package evidence

import "strconv"

// Errno is a Linux error number, whatever system this runs on.
type Errno uint16

const (
	EPIPE         Errno = 32
	EACCES        Errno = 13
	EPERM         Errno = 1
	EMFILE        Errno = 24
	ENFILE        Errno = 23
	ENOMEM        Errno = 12
	EADDRINUSE    Errno = 98
	EADDRNOTAVAIL Errno = 99
	ENETDOWN      Errno = 100
	ENETUNREACH   Errno = 101
	ECONNABORTED  Errno = 103
	ECONNRESET    Errno = 104
	ENOBUFS       Errno = 105
	ETIMEDOUT     Errno = 110
	ECONNREFUSED  Errno = 111
	EHOSTDOWN     Errno = 112
	EHOSTUNREACH  Errno = 113
	ENOPROTOOPT   Errno = 92
	EPROTO        Errno = 71
)

var errnoNames = map[Errno]string{
	ENFILE: "ENFILE", ENOMEM: "ENOMEM", EPIPE: "EPIPE", EACCES: "EACCES", EPERM: "EPERM", EMFILE: "EMFILE", EADDRINUSE: "EADDRINUSE",
	EADDRNOTAVAIL: "EADDRNOTAVAIL", ENETDOWN: "ENETDOWN", ENETUNREACH: "ENETUNREACH",
	ECONNABORTED: "ECONNABORTED", ECONNRESET: "ECONNRESET", ENOBUFS: "ENOBUFS", ETIMEDOUT: "ETIMEDOUT",
	ECONNREFUSED: "ECONNREFUSED", EHOSTDOWN: "EHOSTDOWN", EHOSTUNREACH: "EHOSTUNREACH",
	ENOPROTOOPT: "ENOPROTOOPT", EPROTO: "EPROTO",
}

// String is the kernel's name, or "errno N" for one that TCP sockets are not known to give.
func (e Errno) String() string {
	if s, ok := errnoNames[e]; ok {
		return s
	}
	return "errno " + strconv.Itoa(int(e))
}

// ParseErrno reads what String writes; ok is false for anything else.
func ParseErrno(s string) (e Errno, ok bool) {
	for e, name := range errnoNames {
		if name == s {
			return e, true
		}
	}
	if n, found := cutPrefixInt(s, "errno "); found {
		return Errno(n), true
	}
	return 0, false
}

func cutPrefixInt(s, prefix string) (int, bool) {
	if len(s) <= len(prefix) || s[:len(prefix)] != prefix {
		return 0, false
	}
	n, err := strconv.ParseUint(s[len(prefix):], 10, 16)
	return int(n), err == nil
}
