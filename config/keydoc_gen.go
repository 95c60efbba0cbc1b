package config

var keyDoc = map[string]string{}
