package evidence

// Action is something the proxy did. It is never blamed on anyone, and what the far ends do because of
// it is a consequence.
type Action uint8

const (
	NoAction       Action = iota
	PassedFIN             // sent a FIN to this leg because the other had sent one
	PassedReset           // reset this leg because the other was over
	Closed                // closed this leg in order
	OtherPort             // dialled from the client's address, and another port than the client's, which could not be had
	AbortedOld            // aborted the upstream leg of this client's last connection from the same port to the same place
	IdleTimeout           // our idle timeout ended the pair, as all below are ends of our making
	ConnectTimeout        // our connect timeout gave up on an address
	FlushTimeout          // the leg took nothing for the flush timeout
	Shutdown              // the proxy was stopped
	Refused               // it was an upstream leg of ours, come back, whose own pair did not end: a loop
	ResolveFailed         // no address for the upstream's name
	Limit                 // a limit of ours, or of this host, was reached
	NotRedirected         // refused: it came straight to a listener of mode redirect or tproxy
	Denied                // refused: its destination is on the deny list, or not on the allow list
	Guarded               // refused: its destination is this host's own, link-local, a metadata service or no single host
	NotPermitted          // refused: this process may not dial as the client, or with its mark
	ClientBack            // the client came back from the same port, and this leg of its old connection was in the way
	Looped                // refused: the upstream leg came back to us, a loop
	PortTaken             // refused: the client's port is in use here towards the same place
)

func (Action) source() Source { return Self }
