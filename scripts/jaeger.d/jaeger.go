// Package main names what scripts/jaeger builds.
package main

import _ "github.com/jaegertracing/jaeger/cmd/all-in-one"
