package proxy

import (
	"errors"
	"fmt"

	"whyreset/config"
	"whyreset/proxy/watch"
)

// openWitness listens to the kernel as far as the configuration asks for it. It is for the time when this process still has
// all its rights: nothing of it takes any later.
func openWitness(want config.Switch) (watch.Source, error) {
	if want == config.SwitchOff {
		return watch.Absent("off"), nil
	}
	w, err := watch.OpenWitness()
	if err == nil {
		return w, nil
	}
	if want == config.SwitchOn {
		return nil, fmt.Errorf("evidence.witness: on, but this kernel's resets cannot be watched: %w (%w); "+
			"run as root outside of user namespaces or with CAP_BPF and CAP_PERFMON, or set it to auto", err, errors.Unwrap(err))
	}
	return watch.Absent(err.Error()), nil
}
