//go:build !linux

package kernel

func TerminalWidth(int) int { return 0 }
