package render

import (
	"strconv"
	"time"
)

// Size writes a number of bytes in at most six characters: 999 B, 61 kB, 1.2 MB (1 kB is 1000 B).
func Size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	units := [...]string{"kB", "MB", "GB", "TB", "PB", "EB"}
	f, u := float64(n)/1000, 0
	for f >= 999.5 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	decimals := 0
	if f < 9.95 {
		decimals = 1
	}
	return strconv.FormatFloat(f, 'f', decimals, 64) + " " + units[u]
}

// Duration writes d in at most seven characters, with about three digits: 0.4 ms, 12 ms, 1.23 s, 2m03s, 5h07m, 12d03h.
func Duration(d time.Duration) string {
	switch d = max(0, d); {
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(d.Seconds()*1e3, 'f', 1, 64) + " ms"
	case d < time.Second-time.Millisecond/2:
		return strconv.FormatFloat(d.Seconds()*1e3, 'f', 0, 64) + " ms"
	case d < 10*time.Second-5*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d < 60*time.Second-50*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour-time.Second/2:
		d = d.Round(time.Second)
		return pair(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	case d < 24*time.Hour-time.Minute/2:
		d = d.Round(time.Minute)
		return pair(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	}
	d = d.Round(time.Hour)
	return pair(d/(24*time.Hour), "d", d%(24*time.Hour)/time.Hour, "h")
}

func pair(big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
	zero := ""
	if small < 10 {
		zero = "0"
	}
	return strconv.FormatInt(int64(big), 10) + bigUnit + zero + strconv.FormatInt(int64(small), 10) + smallUnit
}
