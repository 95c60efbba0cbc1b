package kernel

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Info reads TCP_INFO. Fields the running kernel does not know stay zero.
func Info(fd int, info *TCPInfo) Errno {
	var raw unix.TCPInfo
	size := uint32(unsafe.Sizeof(raw))
	if _, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return errno
	}
	*info = TCPInfo{
		State: raw.State, Retransmits: raw.Retransmits, Probes: raw.Probes, Backoff: raw.Backoff,
		RTO: raw.Rto, RTT: raw.Rtt, RTTVar: raw.Rttvar, MinRTT: raw.Min_rtt, SndMSS: raw.Snd_mss,
		Unacked: raw.Unacked, Lost: raw.Lost, TotalRetrans: raw.Total_retrans,
		LastDataSent: raw.Last_data_sent, LastDataRecv: raw.Last_data_recv, LastAckRecv: raw.Last_ack_recv,
		SndWnd: raw.Snd_wnd, NotSent: raw.Notsent_bytes,
		BytesAcked: raw.Bytes_acked, BytesReceived: raw.Bytes_received,
		BytesSent: raw.Bytes_sent, BytesRetrans: raw.Bytes_retrans,
		SegsIn: raw.Segs_in, SegsOut: raw.Segs_out,
	}
	if info.MinRTT == ^uint32(0) { // minmax_reset's "no sample yet"
		info.MinRTT = 0
	}
	return 0
}

// State is tcpi_state alone.
func State(fd int) uint8 {
	var state [8]byte
	size := uint32(len(state))
	unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&state)), uintptr(unsafe.Pointer(&size)), 0)
	return state[0]
}

// TakeError reads SO_ERROR. The kernel tells an error once, to whoever asks first, and on a live
// connection it would hand out a passing ICMP error: ask only when epoll said EPOLLERR.
func TakeError(fd int) Errno {
	var v int32
	size := uint32(4)
	unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&size)), 0)
	return Errno(v)
}

// TakeICMP reads one entry of the error queue; ok is false when there is none.
func TakeICMP(fd int) (e ICMPError, ok bool) {
	var data [1]byte
	var oob [128]byte
	_, n, _, _, err := unix.Recvmsg(fd, data[:], oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return e, false
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return e, false
	}
	for _, m := range msgs {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		// struct sock_extended_err: errno u32, origin u8, type u8, code u8, pad u8, info u32, data u32, then the offender's sockaddr.
		if !(v4 || v6) || len(m.Data) < 16 || (m.Data[4] != unix.SO_EE_ORIGIN_ICMP && m.Data[4] != unix.SO_EE_ORIGIN_ICMP6) {
			continue
		}
		e = ICMPError{Errno: Errno(binary.NativeEndian.Uint32(m.Data)), Type: m.Data[5], Code: m.Data[6], IPv6: m.Data[4] == unix.SO_EE_ORIGIN_ICMP6}
		if sa := m.Data[16:]; len(sa) >= 8 && binary.NativeEndian.Uint16(sa) == unix.AF_INET {
			e.Offender = netip.AddrFrom4([4]byte(sa[4:8]))
		} else if len(sa) >= 24 && binary.NativeEndian.Uint16(sa) == unix.AF_INET6 {
			e.Offender = netip.AddrFrom16([16]byte(sa[8:24])).Unmap()
		}
		return e, true
	}
	return e, false
}
