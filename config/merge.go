package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// merge lays the sources over each other and decodes the result. Every value
// has been read and checked by its own layer and is of the right Go type; an
// error here is a mistake in this package.
//
// A new viper each time: the instance is never shared, watched or kept.
func merge(file, env, flags *layer) (*Config, error) {
	v := viper.New()
	for _, s := range scalars(Defaults()) {
		v.SetDefault(s.path, plainValue(s.value))
	}
	v.SetDefault("listeners", []any{})
	for _, l := range []*layer{file, env} {
		if err := v.MergeConfigMap(nested(l.values)); err != nil {
			return nil, err
		}
	}
	for path, value := range flags.values {
		v.Set(path, value)
	}
	if items := append(append([]map[string]any{}, file.listeners...), flags.listeners...); len(items) > 0 {
		v.Set("listeners", items)
	}
	cfg := &Config{}
	if err := v.UnmarshalExact(cfg, strict); err != nil {
		return nil, err
	}
	return cfg, nil
}

// strict takes back the leniency of viper's decoder: true is not 1, "80" is not
// 80, one thing is not a list of one, and a number is not nanoseconds.
func strict(dc *mapstructure.DecoderConfig) {
	dc.TagName = "yaml"
	dc.WeaklyTypedInput = false
	dc.DecodeHook = mapstructure.DecodeHookFuncType(refuseBareDuration)
}

func refuseBareDuration(from, to reflect.Type, value any) (any, error) {
	if to == durationType && from != durationType {
		return nil, fmt.Errorf("%v is no %s: needs a unit", value, reflect.TypeFor[time.Duration]())
	}
	return value, nil
}

// nested turns {"log.format": x} into {"log": {"format": x}}.
func nested(values map[string]any) map[string]any {
	out := map[string]any{}
	for path, value := range values {
		section, key, _ := strings.Cut(path, ".")
		below, ok := out[section].(map[string]any)
		if !ok {
			below = map[string]any{}
			out[section] = below
		}
		below[key] = value
	}
	return out
}
