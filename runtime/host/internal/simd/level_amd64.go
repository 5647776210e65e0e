package simd

import (
	"slices"

	"golang.org/x/sys/cpu"
)

// native returns the levels of this processor that have assembly.
func native() (levels []*Level) {
	x := &cpu.X86
	wide := x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI
	narrow := x.HasAVX2 && x.HasFMA && x.HasBMI2 // and F16C, which every processor with AVX2 has
	if wide && narrow {
		if hasTiles() && x.HasAVX512BF16 {
			levels = append(levels, amx)
		}
		levels = append(levels, avx512)
	}
	if wide && narrow && x.HasAVX512BF16 {
		if levels = append(levels, avx512bf16); !x.HasAMXBF16 { // processors with tiles for bfloat16 run these at a quarter of the speed
			slices.Reverse(levels)
		}
	}
	if narrow {
		levels = append(levels, avx2)
	}
	return levels
}

var avx512 = &Level{name: "avx512", lanes: 16, tileRows: 12, tileCols: 32, quantisedRows: 12, asm: asm{
	tile: tileAVX512, tileHalfF16: tileHalfF16AVX512, tileHalfBF16: tileHalfBF16AVX512, tileI8: tileI8AVX512,
	dotF32: dotF32AVX512, dotF16: dotF16AVX512, dotBF16: dotBF16AVX512, dotI8: dotI8AVX512,
	axpyF32: axpyF32AVX512, axpyF16: axpyF16AVX512, axpyBF16: axpyBF16AVX512, axpyI8: axpyI8AVX512, digits: digitsAVX512, dotDigits: dotDigitsAVX512,
	transpose: transposeAVX512,
	widenF16:  widenF16AVX512, widenBF16: widenBF16AVX512, narrowF16: narrowF16AVX512, narrowBF16: narrowBF16AVX512, roundF16: roundF16AVX512,
	widenI8: widenI8AVX512, narrowI8: narrowI8AVX512,
	add: addAVX512, sub: subAVX512, mul: mulAVX512, div: divAVX512, scale: scaleAVX512,
	turnHalves: turnHalvesAVX512, expShifted: expShiftedAVX512, swishMul: swishMulAVX512,
	sum: sumAVX512, sumSquares: sumSquaresAVX512, largest: largestAVX512, magnitude: magnitudeAVX512,
	quantiseDot4: quantiseDot4AVX512, quantiseDot8: quantiseDot8AVX512, quantiseTile4: quantiseTile4AVX512, quantiseTile8: quantiseTile8AVX512,
	dotQuantised4: dotQuantised4AVX512, dotQuantised8: dotQuantised8AVX512, dotQuantised4F16: dotQuantised4F16AVX512, dotQuantised8F16: dotQuantised8F16AVX512,
	dotQuantised4I8: dotQuantised4I8AVX512, dotQuantised8I8: dotQuantised8I8AVX512,
	pack4: pack4AVX512, pack8: pack8AVX512, tileQuantised: tileQuantisedAVX512,
	spread: spreadAVX512, dequantise4: dequantise4AVX512, dequantise8: dequantise8AVX512,
	dot4: dot4AVX512, dot8: dot8AVX512, dot4Zeros: dot4ZerosAVX512, dot8Zeros: dot8ZerosAVX512,
	packFours: packFoursAVX512, tileFours: tileFoursAVX512,
	prefetch: prefetchAVX512, extremes: extremesAVX512, codes: codesAVX512, nibbles: nibblesAVX512,
}}

var avx2 = &Level{name: "avx2", lanes: 8, tileRows: 6, tileCols: 16, quantisedRows: 4, asm: asm{
	tile: tileAVX2, tileHalfF16: tileHalfF16AVX2, tileHalfBF16: tileHalfBF16AVX2, tileI8: tileI8AVX2,
	dotF32: dotF32AVX2, dotF16: dotF16AVX2, dotBF16: dotBF16AVX2, dotI8: dotI8AVX2,
	axpyF32: axpyF32AVX2, axpyF16: axpyF16AVX2, axpyBF16: axpyBF16AVX2, axpyI8: axpyI8AVX2,
	transpose: transposeAVX2,
	widenF16:  widenF16AVX2, widenBF16: widenBF16AVX2, narrowF16: narrowF16AVX2, narrowBF16: narrowBF16AVX2, roundF16: roundF16AVX2,
	widenI8: widenI8AVX2, narrowI8: narrowI8AVX2,
	add: addAVX2, sub: subAVX2, mul: mulAVX2, div: divAVX2, scale: scaleAVX2,
	turnHalves: turnHalvesAVX2, expShifted: expShiftedAVX2, swishMul: swishMulAVX2,
	sum: sumAVX2, sumSquares: sumSquaresAVX2, largest: largestAVX2, magnitude: magnitudeAVX2,
	quantiseDot4: quantiseDot4AVX2, quantiseDot8: quantiseDot8AVX2, quantiseTile4: quantiseTile4AVX2, quantiseTile8: quantiseTile8AVX2,
	dotQuantised4: dotQuantised4AVX2, dotQuantised8: dotQuantised8AVX2, dotQuantised4F16: dotQuantised4F16AVX2, dotQuantised8F16: dotQuantised8F16AVX2,
	dotQuantised4I8: dotQuantised4I8AVX2, dotQuantised8I8: dotQuantised8I8AVX2,
	pack4: pack4AVX2, pack8: pack8AVX2, tileQuantised: tileQuantisedAVX2,
	spread: spreadAVX2, dequantise4: dequantise4AVX2, dequantise8: dequantise8AVX2,
	dot4: dot4AVX2, dot8: dot8AVX2, dot4Zeros: dot4ZerosAVX2, dot8Zeros: dot8ZerosAVX2,
	prefetch: prefetchAVX2, extremes: extremesAVX2, codes: codesAVX2, nibbles: nibblesAVX2,
}}

// avx512bf16 is avx512 with products of bfloat16.
var avx512bf16 = func() *Level {
	l := *avx512
	l.name = "avx512bf16"
	l.tileBF16, l.interleave = tileBF16AVX512, interleaveAVX512
	return &l
}()

// amx is avx512 with tiles for products of bfloat16.
var amx = func() *Level {
	l := *avx512
	l.name = "amx"
	l.tiles = true
	l.splitRow, l.roundRow = splitRowAVX512, roundRowAVX512
	l.splitPairsF32, l.splitPairsF16, l.splitPairsBF16 = splitPairsF32AVX512, splitPairsF16AVX512, splitPairsBF16AVX512
	l.blockPairs4, l.blockPairs8 = blockPairs4AVX512, blockPairs8AVX512
	return &l
}()
