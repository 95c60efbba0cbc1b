//go:build !linux

package kernel

func Held() (effective, permitted Capabilities, errno Errno) { return 0, 0, unsupported }
func Confine(Capabilities) Errno                             { return unsupported }
func Release() (major, minor int)                            { return 0, 0 }

func Without(Capabilities, func() error) error { return unsupported }
