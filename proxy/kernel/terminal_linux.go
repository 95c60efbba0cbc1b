package kernel

import "golang.org/x/sys/unix"

// TerminalWidth is how many characters a line of the terminal holds (TIOCGWINSZ); zero when fd is none, or
// does not know.
func TerminalWidth(fd int) int {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
