package scenario

import (
	"slices"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
)

// Right says whether a verdict names the truth: as its cause, or as an alternative to a member of the same fixed family.
func Right(truth string, v diagnose.Verdict) bool {
	if v.Cause == truth {
		return true
	}
	return Relatives(v.Cause, truth) && slices.Contains(v.Alternatives, truth)
}

// Relatives says whether two causes stand in one of the fixed families.
func Relatives(a, b string) bool {
	return slices.ContainsFunc(cause.Families, func(family []string) bool {
		return slices.Contains(family, a) && slices.Contains(family, b)
	})
}

// Overconfident says whether a verdict is certain of something that is not the truth.
func Overconfident(truth string, v diagnose.Verdict) bool {
	return v.Confidence == cause.Conclusive && v.Cause != truth
}
