package proxy

import (
	"whyreset/config"
	"whyreset/diagnose/evidence"
	"whyreset/proxy/watch"
)

// openWitness listens to the kernel, if that is wanted. It is for the time when this process still has all its rights: what is
// open takes none. Where it cannot be had that is said in each record's coverage; only who asked for it in so many words is
// refused.
func openWitness(want config.Switch) (watch.Source, error) {
	if want == config.SwitchOff {
		return watch.Absent("off"), nil
	}
	w, err := watch.OpenWitness()
	if err == nil {
		return w, nil
	}
	if want == config.SwitchOn {
		return nil, &WatchError{Source: evidence.Witness, Err: err, right: "CAP_BPF and CAP_PERFMON outside of user namespaces"}
	}
	return watch.Absent(err.Error()), nil
}
