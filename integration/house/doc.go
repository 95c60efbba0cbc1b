// Package house holds the rules of this repository that no compiler knows: which package may import which, which of
// them may touch a library that must stay behind one door, that every package says what it is for, that Linux-only
// files have a twin elsewhere, and that no text names a place that only one machine has.
//
// It is made of tests. All of them read the tree in their own process; a child process, such as "go list", would read
// files that the test cache does not know of, and the cache would go on answering "ok" after a rule was broken. Each
// rule is also run on a small tree made to break it, so that a rule which can no longer fail is noticed.
//
// Taste is not checked here: length of lines and functions is left to readers. What go vet and staticcheck find is left
// to them.
package house
