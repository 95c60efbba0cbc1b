//go:build !linux

package kernel

func TryTransparent() Errno { return unsupported }
func TryOriginalDst() Errno { return unsupported }
func TryPackets() Errno     { return unsupported }
func TrySplice() Errno      { return unsupported }
func MayWrite(string) Errno { return unsupported }
