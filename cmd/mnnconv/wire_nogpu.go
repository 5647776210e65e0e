//go:build nogpu

package main

import "mnnconv/runtime"

func gpus() []runtime.Backend { return nil }
