package record

import (
	"github.com/rs/zerolog"

	"whyreset/diagnose/cause"
)

// Capture is the first RST of a connection in a capture file, and what stood around it.
type Capture struct {
	Resetter   string `json:"resetter"`        // client or server: who sent it, or in whose name it was sent
	Frame      int    `json:"frame"`           // in the file, from 1
	Flags      string `json:"flags"`           // its flags' letters, in the order FSRPAUEC
	FromClient int    `json:"rst_from_client"` // RSTs of the whole connection
	FromServer int    `json:"rst_from_server"`
	Stage      string `json:"stage"` // how far the connection had got before it: a stage of package replay

	// Its TTL minus that of the last packet of its direction before it; nil without one.
	TTLDelta *int `json:"ttl_delta,omitempty"`
	// Its sequence number minus the highest end of a segment of its direction before it, SYN and FIN counting one; nil without one.
	SeqDelta *int32 `json:"seq_delta,omitempty"`
	// Both sides went on: each sent something other than RST after it, and its sender sent data, or a handshake followed.
	Continued bool `json:"continued"`
}

// Earlier is the verdict that a record had before it was explained anew.
type Earlier struct {
	Cause      string
	Confidence cause.Strength
	Version    string // of the whyreset that gave it; empty: not known
}

func (w *writer) capture(y *zerolog.Event, c *Capture) {
	if c == nil {
		return
	}
	d := y.CreateDict().Str("resetter", word(c.Resetter)).Int("frame", max(0, c.Frame)).Str("flags", word(c.Flags)).
		Int("rst_from_client", max(0, c.FromClient)).Int("rst_from_server", max(0, c.FromServer)).Str("stage", word(c.Stage))
	if c.TTLDelta != nil {
		d.Int("ttl_delta", *c.TTLDelta)
	}
	if c.SeqDelta != nil {
		d.Int32("seq_delta", *c.SeqDelta)
	}
	y.Dict("capture", d.Bool("continued", c.Continued))
}

func (w *writer) earlier(y *zerolog.Event, e *Earlier, l limits) {
	if e == nil {
		return
	}
	d := y.CreateDict().Str("cause", word(e.Cause)).Str("confidence", e.Confidence.String())
	if e.Version != "" {
		d.Str("version", clip(e.Version, l.item))
	}
	y.Dict("earlier", d)
}

type wireEarlier struct {
	Cause      string `json:"cause"`
	Confidence string `json:"confidence"`
	Version    string `json:"version"`
}

func (w *wireEarlier) read() (*Earlier, error) {
	if w == nil {
		return nil, nil
	}
	s, err := readStrength(w.Confidence)
	return &Earlier{Cause: w.Cause, Confidence: s, Version: w.Version}, err
}
