package lab

// hereVar set to "here" says that this process is one in which hosts are to be made: [Main] sets it for the process that
// it starts, whose own children inherit it. A user who is root may set it to make hosts in plain namespaces, without a
// user namespace around them, which is what tracing the kernel takes.
const hereVar = "WHYRESET_LAB"

// Main runs run in a process that can make hosts, and returns its exit code. Call it before anything else, from TestMain
// or main.
//
// It starts the program once more, with the same arguments, environment, files and working directory, in new user,
// network and mount namespaces; the process it was called in only waits, passes signals on and hands the exit code back.
// So run is called in one of the two, never in both. In the new process the user is 0 and may do to its own network what
// root may; loopback is there and is its own; nothing else can be reached. Seen from outside it is the user it was. A
// root with all its rights keeps every user ID of the machine, others have only the one.
//
// Where that is refused, run is called in this process, and [Refused] gives the reason; so does [Available], unless this
// process can make hosts without more ado.
//
// The tests' cache goes on working: what the go command is to know about a run is written by the process that calls
// m.Run, and the other one calls nothing of the testing package.
func Main(run func() int) int { return enter(run) }
