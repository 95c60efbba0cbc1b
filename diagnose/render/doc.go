// Package render shows a verdict to people on a console: one aligned line a connection, and the why below it.
//
//	s := render.Style{Width: 100, Colour: true}
//	out = s.AppendLine(out, &render.Connection{Listener: "db", Client: "…", Upstream: "…", Verdict: &v})
//	out = s.AppendWhy(out, &v)
//
// It takes words and numbers, and knows neither records nor terminals: who calls says how wide the terminal
// is and whether it has colours. Nothing that a peer or a file has said can move the cursor or change a
// colour: what is not printable is shown escaped.
package render
