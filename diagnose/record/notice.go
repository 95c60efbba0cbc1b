package record

import (
	"time"
)

// Notice is a record of the program's own: nothing about one connection.
type Notice struct {
	Time     time.Time
	By       Identity
	Level    Level
	Code     Code
	Message  string
	Error    string   // what the system said; empty: nothing went wrong
	Listener string   // the listener concerned; empty: all, or none
	Count    uint64   // of what the code is about; zero: nothing is counted
	Dropped  *Dropped // of RecordsDropped only
}

// Level is how much a notice matters.
type Level string

const (
	Info  Level = "info"
	Warn  Level = "warn"
	Error Level = "error" // a failure of our own
)

// Dropped counts records that were made and could not be written.
type Dropped struct {
	Harmful  uint64 // of harmful endings, and errors of our own
	Ordinary uint64
}

// Code says what a notice is about. Codes are contracts, like the causes' IDs.
type Code string

const (
	Privileges      Code = "privileges"
	Started         Code = "started"
	Stopping        Code = "stopping"
	Stopped         Code = "stopped"
	Reloaded        Code = "reloaded"
	ReloadFailed    Code = "reload_failed"
	AcceptFailed    Code = "accept_failed"
	AcceptRecovered Code = "accept_recovered"
	ResolveFailed   Code = "resolve_failed"
	StoriesLost     Code = "stories_lost"
	VerdictsEarly   Code = "verdicts_early"
	PacketsLost     Code = "packets_lost"
	RecordsDropped  Code = "records_dropped"
	ReopenFailed    Code = "reopen_failed"
	RulesUnattended Code = "rules_unattended"
)

// Codes says what each code means, in order of a program's life.
var Codes = []struct {
	Code    Code
	Meaning string
}{
	{Privileges, "the capabilities that the process keeps, all others being given up; or why they are not"},
	{Started, "the proxy listens"},
	{Stopping, "the proxy takes no new connections; `whyreset.count` are left"},
	{Stopped, "the proxy is about to exit; `whyreset.count` connections were reset by it"},
	{Reloaded, "the configuration was read again; the message names what changed and what needs a restart"},
	{ReloadFailed, "the new configuration was refused; the old one stays"},
	{AcceptFailed, "a listener cannot accept, as when file descriptors run out; it tries again"},
	{AcceptRecovered, "a listener accepts again"},
	{ResolveFailed, "an upstream's name could not be looked up; the last good answer is kept"},
	{StoriesLost, "`whyreset.count` connections ended faster than they could be explained; they have no record"},
	{VerdictsEarly, "so many connections were cut at once that `whyreset.count` verdicts did not wait for the packets that may come after a reset"},
	{PacketsLost, "`whyreset.count` packets came faster than they could be looked at; the coverage of the connections of that time says so"},
	{RecordsDropped, "records were made and not written, because the output was slow, stuck or full"},
	{ReopenFailed, "the output could not be opened again; the old one stays in use"},
	{RulesUnattended, "the process that takes the packet rules away after this one has ended itself; they stay"},
}
