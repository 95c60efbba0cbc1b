package rules

// Step is one change of Apply, for tests that stop half-way as a crash would.
type Step struct {
	What string
	Do   func() error
}

// Steps are the changes that Apply would make one after the other.
func (p *Plan) Steps(stateFile string) ([]Step, error) {
	steps, err := p.steps(stateFile)
	var all []Step
	for _, s := range steps {
		all = append(all, Step{s.what, s.do})
	}
	return all, err
}

// Explain is explain.
func Explain(err error) error { return explain(err) }
