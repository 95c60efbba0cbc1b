package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// plainText is a value as people write it, without YAML quotes.
func plainText(value any) string {
	switch v := value.(type) {
	case time.Duration:
		return formatDuration(v)
	case uint32:
		return fmt.Sprintf("%#x", v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// yamlText is a value as it stands in the file, on one line.
func yamlText(k kind, value any) string {
	text := plainText(value)
	if k != kindText && k != kindWord {
		return text
	}
	node := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	out, err := yaml.Marshal(&node)
	if line := strings.TrimSuffix(string(out), "\n"); err == nil && line != "" && !strings.Contains(line, "\n") {
		return line
	}
	return strconv.Quote(text)
}

// formatDuration is Duration.String without the zeros at its end: 1h, not 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
