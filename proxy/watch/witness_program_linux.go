package watch

import (
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// program is one being written. It is put together when it is to be loaded, for the kernel that runs: no compiler is
// needed, and nothing is assumed about where a field lies.
//
// Registers that outlive a call: R6 is the socket, R7 the packet, R8 and R9 pointers on the way. The record is made at the
// bottom of the stack; a word below it takes pointers as they are read.
type program struct {
	*layout
	instructions asm.Instructions
	label        string // for the next instruction
}

// Places on the stack, from R10.
const (
	onStack = int16(-recordSize)
	pointed = onStack - 8
)

// at is where a field of the record is on the stack.
func at(field uintptr) int16 { return onStack + int16(field) }

func (p *program) add(all ...asm.Instruction) {
	for _, i := range all {
		if p.label != "" {
			i = i.WithSymbol(p.label)
			p.label = ""
		}
		p.instructions = append(p.instructions, i)
	}
}

// read copies size bytes at base+offset of the kernel's memory to the stack: bpf_probe_read_kernel. What cannot be read,
// such as a field of a null pointer, reads as zero.
func (p *program) read(to, size int16, base asm.Register, offset int16) {
	p.add(
		asm.Mov.Reg(asm.R1, asm.R10), asm.Add.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, int32(size)),
		asm.Mov.Reg(asm.R3, base), asm.Add.Imm(asm.R3, int32(offset)),
		asm.FnProbeReadKernel.Call(),
	)
}

// follow reads the pointer at base+offset into a register.
func (p *program) follow(to, base asm.Register, offset int16) {
	p.read(pointed, 8, base, offset)
	p.add(asm.LoadMem(to, asm.R10, pointed, asm.DWord))
}

// load reads a number of size bytes at base+offset into a register.
func (p *program) load(to, base asm.Register, offset int16, size asm.Size) {
	p.read(pointed, int16(size.Sizeof()), base, offset)
	p.add(asm.LoadMem(to, asm.R10, pointed, size))
}

func (p *program) set(field uintptr, value int32) {
	p.add(asm.Mov.Imm(asm.R1, value), asm.StoreMem(asm.R10, at(field), asm.R1, asm.Byte))
}

// begin takes the arguments from the context and zeroes the record but for the time.
func (p *program) begin(sk, skb, reason int) {
	p.add(asm.Mov.Imm(asm.R2, 0))
	for i := range recordSize / 8 {
		p.add(asm.StoreMem(asm.R10, onStack+int16(8*i), asm.R2, asm.DWord))
	}
	p.add(asm.Mov.Imm(asm.R7, 0))
	if skb >= 0 {
		p.add(asm.LoadMem(asm.R7, asm.R1, int16(8*skb), asm.DWord))
	}
	if reason >= 0 {
		p.add(asm.LoadMem(asm.R2, asm.R1, int16(8*reason), asm.DWord),
			asm.StoreMem(asm.R10, at(unsafe.Offsetof(record{}.reason)), asm.R2, asm.Word))
	}
	p.add(asm.LoadMem(asm.R6, asm.R1, int16(8*sk), asm.DWord))
	p.add(asm.FnKtimeGetNs.Call(), asm.StoreMem(asm.R10, at(unsafe.Offsetof(record{}.at)), asm.R0, asm.DWord))
	p.read(at(unsafe.Offsetof(record{}.state)), 1, asm.R6, p.state)
}

// The last four bytes of an IPv4 address in a record, and what marks it as one (RFC 4291 §2.5.5.2).
const (
	ipv4At   = 12
	mappedAt = 10
	mapped   = 0xffff
)

func (p *program) mark4() {
	p.add(asm.Mov.Imm(asm.R1, mapped),
		asm.StoreMem(asm.R10, at(unsafe.Offsetof(record{}.from)+mappedAt), asm.R1, asm.Half),
		asm.StoreMem(asm.R10, at(unsafe.Offsetof(record{}.to)+mappedAt), asm.R1, asm.Half))
}

// socketEnds writes the sequence numbers and the addresses of the socket in R6, its own as from and the far end's as to, or the
// other way about.
func (p *program) socketEnds(local, remote, localPort, remotePort uintptr) {
	const afINET = 2
	p.read(at(unsafe.Offsetof(record{}.next)), 4, asm.R6, p.sndNxt)
	p.read(at(unsafe.Offsetof(record{}.expected)), 4, asm.R6, p.rcvNxt)
	p.read(at(localPort), 2, asm.R6, p.localPort)
	p.read(at(remotePort), 2, asm.R6, p.remotePort)
	p.load(asm.R1, asm.R6, p.family, asm.Half)
	p.add(asm.JEq.Imm(asm.R1, afINET, "socket4"))
	p.read(at(local), 16, asm.R6, p.localAddr6)
	p.read(at(remote), 16, asm.R6, p.remoteAddr6)
	p.add(asm.Ja.Label("namespace"))
	p.label = "socket4"
	p.mark4()
	p.read(at(local)+ipv4At, 4, asm.R6, p.localAddr)
	p.read(at(remote)+ipv4At, 4, asm.R6, p.remoteAddr)
}

// packetEnds writes the sequence numbers and the addresses of the packet in R7 that is answered: its destination is from, its source is to.
func (p *program) packetEnds() {
	p.follow(asm.R8, asm.R7, p.head)
	p.load(asm.R9, asm.R7, p.transportHeader, asm.Half)
	p.add(asm.Add.Reg(asm.R9, asm.R8))
	p.read(at(unsafe.Offsetof(record{}.toPort)), 2, asm.R9, p.tcpSource)
	p.read(at(unsafe.Offsetof(record{}.fromPort)), 2, asm.R9, p.tcpDestination)
	p.read(at(unsafe.Offsetof(record{}.next)), 4, asm.R9, p.tcpSeq)
	p.read(at(unsafe.Offsetof(record{}.expected)), 4, asm.R9, p.tcpAck)
	p.load(asm.R9, asm.R7, p.networkHeader, asm.Half)
	p.add(asm.Add.Reg(asm.R9, asm.R8))
	p.load(asm.R1, asm.R9, 0, asm.Byte) // the version is in its upper half, in both
	p.add(asm.RSh.Imm(asm.R1, 4), asm.JEq.Imm(asm.R1, 4, "packet4"))
	p.read(at(unsafe.Offsetof(record{}.to)), 16, asm.R9, p.ip6Source)
	p.read(at(unsafe.Offsetof(record{}.from)), 16, asm.R9, p.ip6Destination)
	p.add(asm.Ja.Label("namespace"))
	p.label = "packet4"
	p.mark4()
	p.read(at(unsafe.Offsetof(record{}.to)+ipv4At), 4, asm.R9, p.ipSource)
	p.read(at(unsafe.Offsetof(record{}.from)+ipv4At), 4, asm.R9, p.ipDestination)
	p.add(asm.Ja.Label("namespace"))
}

// namespace writes that of the socket or, without one, of the device that the packet came by: tcp_v4_rcv takes the device
// away from a packet that it has a socket for.
func (p *program) namespace() {
	p.label = "namespace"
	p.add(asm.JNE.Imm(asm.R6, 0, "socket's"))
	p.follow(asm.R8, asm.R7, p.device)
	p.follow(asm.R8, asm.R8, p.deviceNet)
	p.add(asm.Ja.Label("inode"))
	p.label = "socket's"
	p.follow(asm.R8, asm.R6, p.net)
	p.label = "inode"
	p.read(at(unsafe.Offsetof(record{}.netns)), 4, asm.R8, p.inode)
}

// process writes who runs: the whole process's name, not its thread's.
func (p *program) process() {
	p.add(asm.FnGetCurrentTask.Call(), asm.Mov.Reg(asm.R8, asm.R0))
	p.read(at(unsafe.Offsetof(record{}.pid)), 4, asm.R8, p.threadGroup)
	p.follow(asm.R8, asm.R8, p.groupLeader)
	p.read(at(unsafe.Offsetof(record{}.comm)), 16, asm.R8, p.comm)
	p.read(at(unsafe.Offsetof(record{}.owned)), 4, asm.R6, p.owned)
}

// end hands the record over, waking nobody, or counts that there was no room.
func (p *program) end(ring, lost *ebpf.Map) {
	const noWakeUp = 1 // BPF_RB_NO_WAKEUP
	p.add(
		asm.LoadMapPtr(asm.R1, ring.FD()),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, int32(onStack)),
		asm.Mov.Imm(asm.R3, int32(recordSize)),
		asm.Mov.Imm(asm.R4, noWakeUp),
		asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1),
		asm.LoadMapValue(asm.R2, lost.FD(), 0),
		asm.AddAtomic.Mem(asm.R2, asm.R1, asm.DWord, 0),
	)
	p.label = "out"
	p.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
}

// sendReset is for tcp_send_reset. With a packet the reset answers it: the socket, if there is one, may be one that
// listens or a mere remainder, so the addresses are the packet's. Without one the socket was ended from this side.
func sendReset(l *layout, ring, lost *ebpf.Map) asm.Instructions {
	p := program{layout: l}
	p.begin(l.sk, l.skb, l.reason)
	p.set(unsafe.Offsetof(record{}.sent), 1)
	p.add(asm.JEq.Imm(asm.R7, 0, "active"))
	p.set(unsafe.Offsetof(record{}.reply), 1)
	p.packetEnds()
	p.label = "active"
	p.process()
	p.socketEnds(unsafe.Offsetof(record{}.from), unsafe.Offsetof(record{}.to),
		unsafe.Offsetof(record{}.fromPort), unsafe.Offsetof(record{}.toPort))
	p.namespace()
	p.end(ring, lost)
	return p.instructions
}

// receiveReset is for tcp_receive_reset, whose only argument is the socket that accepted it.
func receiveReset(l *layout, ring, lost *ebpf.Map) asm.Instructions {
	p := program{layout: l}
	p.begin(0, -1, -1)
	p.socketEnds(unsafe.Offsetof(record{}.to), unsafe.Offsetof(record{}.from),
		unsafe.Offsetof(record{}.toPort), unsafe.Offsetof(record{}.fromPort))
	p.namespace()
	p.end(ring, lost)
	return p.instructions
}
