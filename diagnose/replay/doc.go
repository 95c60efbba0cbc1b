// Package replay reads packet captures into connections.
//
//	r, err := replay.NewReader(file)
//	…
//	t := replay.NewTracker(func(c *replay.Connection) { … })
//	for {
//		frame, err := r.Next()
//		if err != nil {
//			break // io.EOF at the end; otherwise what came before still counts
//		}
//		t.Add(&frame)
//	}
//	t.Flush()
//
// Connection.Evidence is what the engine takes. With a Selection, Extract reads the capture once more and writes the frames of some
// connections as pcapng, with comments.
//
// It streams: a frame is forgotten when the next one is read, and a connection when it is over, so memory follows the number of
// connections that live at the same time. It is for files; live packets go to the headers directly (diagnose/header). It says what was
// there and draws no conclusions: those are the causes' (diagnose/cause).
package replay
