//go:build race

package record

func init() { poolsLeak = true }
