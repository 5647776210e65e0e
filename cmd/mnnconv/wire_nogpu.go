//go:build nogpu

package main

import (
	"time"

	"mnnconv/runtime"
)

func gpus(time.Duration) []runtime.Backend { return nil }
