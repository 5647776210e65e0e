//go:build linux && !nogpu

package cuda

import (
	"encoding/binary"
	"fmt"
	"testing"

	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// BenchmarkKernels times single kernels at the shapes of a model of three billion weights, on
// whatever driver is there.
func BenchmarkKernels(b *testing.B) {
	back := &Backend{}
	l, dev, err := back.device(0)
	if err != nil {
		b.Fatal(err)
	}
	c, err := l.Context(dev)
	if err != nil {
		b.Fatal(err)
	}
	d, err := newDevice("cuda:0", c)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := d.Begin(); err != nil {
		b.Fatal(err)
	}
	defer d.End()
	memory := func(size int64) gpu.Memory {
		m, err := d.Alloc(size)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = m.Close() })
		if err := d.ctx.Fill(address(m), 0x2a, size, d.stream); err != nil { // small numbers
			b.Fatal(err)
		}
		return m
	}
	arg := func(v any) gpu.Arg {
		switch v := v.(type) {
		case gpu.Memory:
			return gpu.Arg{Memory: v, Bytes: v.Size()}
		case nil:
			return gpu.Arg{}
		}
		bytes, err := binary.Append(nil, binary.LittleEndian, v)
		if err != nil {
			b.Fatal(err)
		}
		return gpu.Arg{Value: bytes}
	}
	run := func(name string, bytes, flops float64, c gpu.Command, args ...any) {
		b.Run(name, func(b *testing.B) {
			if err := d.Begin(); err != nil { // it runs on a goroutine of its own
				b.Fatal(err)
			}
			defer d.End()
			for _, a := range args {
				c.Args = append(c.Args, arg(a))
			}
			m, err := gpu.ModuleOf(c.Module)
			if err != nil {
				b.Fatal(err)
			}
			if err := d.Load(m); err != nil {
				b.Fatal(err)
			}
			const n = 50
			var all []gpu.Command
			for range n {
				all = append(all, c)
			}
			s, err := d.Record(all)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var from, to driver.Event
			if from, err = d.ctx.NewEvent(); err == nil {
				to, err = d.ctx.NewEvent()
			}
			for range 2 {
				if err == nil {
					err = s.Submit()
				}
			}
			if err == nil {
				err = d.ctx.Mark(from, d.stream)
			}
			for range b.N {
				if err == nil {
					err = s.Submit()
				}
			}
			if err == nil {
				err = d.ctx.Mark(to, d.stream)
			}
			if err == nil {
				err = d.Sync()
			}
			if err != nil {
				b.Fatal(err)
			}
			t, err := d.ctx.Between(from, to)
			if err != nil {
				b.Fatal(err)
			}
			each := t.Seconds() / float64(b.N*n)
			b.ReportMetric(each*1e6, "µs/launch")
			if bytes > 0 {
				b.ReportMetric(bytes/each/1e9, "GB/s")
			}
			if flops > 0 {
				b.ReportMetric(flops/each/1e12, "TFLOP/s")
			}
		})
	}
	ceil := func(a, b int) int { return (a + b - 1) / b }
	type tail struct {
		M, N, K, Type, Biased, Added int32
		Alpha, Beta                  float32
	}
	type shape struct {
		M, N, K, Biased, Added int32
		Alpha, Beta            float32
	}
	big := memory(700 << 20)
	x, y := memory(256<<20), memory(256<<20)
	for _, nk := range [][2]int{{2048, 2048}, {256, 2048}, {11008, 2048}, {2048, 11008}, {22016, 2048}, {151936, 2048}} {
		n, k := nk[0], nk[1]
		kernel, teams := "gemv1", 8
		if k >= 4096 {
			kernel, teams = "gemv1_long", 2
		}
		run(fmt.Sprintf("%s/%dx%d", kernel, n, k), float64(2*n*k), 0,
			gpu.Command{Module: "product_f16_f16", Kernel: kernel, Groups: [3]int{ceil(n, teams), 1, 1}, Size: 256},
			x, big, nil, nil, y, tail{1, int32(n), int32(k), 10, 0, 0, 1, 1})
	}
	for _, mnk := range [][3]int{{2048, 2048, 2048}, {2048, 11008, 2048}, {2048, 2048, 11008}, {1024, 1280, 1280}, {1024, 3420, 1280}, {1024, 1280, 3420}, {4096, 4096, 4096}} {
		m, n, k := mnk[0], mnk[1], mnk[2]
		kernel, tall := "gemm", 128
		if ceil(m, 128)*ceil(n, 128) < 132 {
			kernel, tall = "gemm64", 64
		}
		run(fmt.Sprintf("%s/%dx%dx%d", kernel, m, n, k), 0, 2*float64(m)*float64(n)*float64(k),
			gpu.Command{Module: "tensor_f16", Kernel: kernel, Groups: [3]int{ceil(m, tall), ceil(n, 128), 1}, Size: 256},
			x, big, nil, nil, y, shape{int32(m), int32(n), int32(k), 0, 0, 1, 1})
	}
	type heads struct {
		Rows, Group, KVHeads, Keys, Size, Width int32
		QBatch, QRow, QHead                     int32
		KBatch, KRow, KHead                     int32
		VBatch, VRow, VHead                     int32
		YBatch, YRow, YHead                     int32
		Causal, Lengths, Segments, Bounds       int32
		Split, Splits                           int32
		Scale                                   float32
	}
	h := heads{2048, 8, 2, 2048, 128, 128, 0, 2048, 128, 0, 128, 2048 * 128, 0, 128, 2048 * 128, 0, 2048, 128, 1, 0, 0, 0, 0, 1, 0.088}
	run("flash128/2048 causal", 0, 2*2*2048*2048/2*128*16, gpu.Command{Module: "flash_f16", Kernel: "flash128", Groups: [3]int{2048 * 8 / 128, 2, 1}, Size: 256}, x, x, x, nil, y, nil, h)
	v := heads{1024, 1, 16, 1024, 80, 80, 0, 1280, 80, 0, 1280, 80, 0, 1280, 80, 0, 1280, 80, 0, 0, 0, 0, 0, 1, 0.11}
	run("flash80/1024", 0, 2*2*1024*1024*80*16, gpu.Command{Module: "flash_f16", Kernel: "flash80", Groups: [3]int{8, 16, 1}, Size: 256}, x, x, x, nil, y, nil, v)
	dec := heads{1, 8, 2, 1024, 128, 128, 0, 2048, 128, 0, 128, 1024 * 128, 0, 128, 1024 * 128, 0, 2048, 128, 0, 0, 0, 0, 64, 16, 0.088}
	counts := memory(64)
	if err := d.ctx.Fill(address(counts), 0, 64, d.stream); err != nil {
		b.Fatal(err)
	}
	run("decode128/1024", 0, 0, gpu.Command{Module: "decode_f16", Kernel: "decode128", Groups: [3]int{8, 2, 16}, Size: 256}, x, x, x, nil, y, big, counts, dec)
	type few struct {
		M, K                        int32
		N, First                    [3]int32
		Shift                       int32
		Gain                        int32
		Gated, Biased, Added, Round int32
		Alpha, Beta, Epsilon, Swish float32
	}
	for dtype, name := range map[int32]string{10: "few_f16_f16", 16: "few_bf16_bf16"} {
		run(name+"/norm8/22016x2048", 2*22016*2048, 0, gpu.Command{Module: name, Kernel: "norm8", Groups: [3]int{344, 1, 1}, Size: 256},
			x, x, big, big, nil, nil, nil, nil, nil, y, nil, nil, few{1, 2048, [3]int32{11008, 11008}, [3]int32{0, 1 << 30, 1 << 30}, 1, dtype, 1, 0, 0, 1, 1, 1, 1e-6, 1})
		run(name+"/wide8/2048x11008", 2*2048*11008, 0, gpu.Command{Module: name, Kernel: "wide8", Groups: [3]int{128, 1, 1}, Size: 512},
			x, nil, big, nil, nil, nil, nil, nil, x, y, nil, nil, few{1, 11008, [3]int32{2048}, [3]int32{0, 1 << 30, 1 << 30}, 4, 0, 0, 0, 1, 0, 1, 1, 0, 0})
	}
	type grid struct{ Blocks, Row, Shift, Even, Zero, ZerosRow, ScaleType int32 }
	run("few4_f16/near8/22016x2048", 22016*2048*9/16, 0, gpu.Command{Module: "few4_f16", Kernel: "near8", Groups: [3]int{344, 1, 1}, Size: 256},
		x, x, big, big, nil, x, x, nil, nil, nil, nil, grid{64, 1024, 0, 1, 8, 0, 10}, nil, nil, nil, nil, y, nil, nil,
		few{1, 2048, [3]int32{11008, 11008}, [3]int32{0, 1 << 30, 1 << 30}, 1, 10, 1, 0, 0, 1, 1, 1, 1e-6, 1})
	run("few4_f16/wide8/2048x11008", 2048*11008*9/16, 0, gpu.Command{Module: "few4_f16", Kernel: "wide8", Groups: [3]int{128, 1, 1}, Size: 512},
		x, nil, big, nil, nil, x, nil, nil, nil, nil, nil, grid{344, 5504, 0, 1, 8, 0, 10}, nil, nil, nil, x, y, nil, nil,
		few{1, 11008, [3]int32{2048}, [3]int32{0, 1 << 30, 1 << 30}, 4, 0, 0, 0, 1, 0, 1, 1, 0, 0})
	run("rms_norm 2048", 0, 0, gpu.Command{Module: "norm", Kernel: "rms_norm", Groups: [3]int{1, 1, 1}, Size: 256}, x, int32(10), x, int32(10), y, int32(10), int32(2048), float32(1e-6))
}
