//go:build !linux

package kernel

import "net/netip"

func SetTransparent(int, netip.Addr) error                     { return unsupported }
func DialAs(netip.AddrPort, Origin, Options) (int, Errno)      { return -1, unsupported }
func MayMark(uint32) Errno                                     { return unsupported }
func OriginalDst(int, netip.Addr) (to netip.AddrPort, e Errno) { return to, unsupported }
