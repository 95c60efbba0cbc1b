// Package trial tries the whole program with connections that nobody wrote down: random traffic between two hosts through
// a real proxy, cut at a random moment in one of many ways. Whether the verdict is right is known, because what cut the
// connection was done.
//
//	for n := range 300 {
//		t := trial.Draw(seed, n, true)
//		result := trial.Play(ctx, t, program)
//		tally.Add(result)
//	}
//	fmt.Print(&tally)
//
// A trial is drawn from its seed and its number alone, so one of them can be played again by itself. The same way to end a
// connection comes again after [Ways] numbers. Times that hosts need are nobody's to draw: a trial played twice has the same
// plan and not the same microseconds.
//
// Each connection is explained from all that was observed, and again with sources taken away ([Views]): a verdict from
// less may be vaguer and must not be wrong.
//
// Causes that are brought about one by one, each under conditions of its own, are package scenario's.
package trial
