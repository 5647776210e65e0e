package opencl

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// device is one device of a platform.
type device struct {
	api          *api
	platform, id uintptr
	kind         uint64 // CL_DEVICE_TYPE_…
}

// Keys of information.
const (
	platformName    = 0x0902
	platformVersion = 0x0901

	deviceType          = 0x1000
	deviceVendorID      = 0x1001
	deviceUnits         = 0x1002
	deviceGroup         = 0x1004
	deviceMaxAlloc      = 0x1010
	deviceAlign         = 0x1019
	deviceFloatConfig   = 0x101B
	deviceMemory        = 0x101F
	deviceLocal         = 0x1023
	deviceAvailable     = 0x1027
	deviceCompiler      = 0x1028
	deviceName          = 0x102B
	driverVersion       = 0x102D
	deviceVersion       = 0x102F
	deviceExtensions    = 0x1030
	deviceUUID          = 0x106A
	computeMajorNVIDIA  = 0x4000
	typeCPU, typeGPU    = 1 << 1, 1 << 2
	vendorNVIDIA        = 0x10DE
	correctlyRoundedDiv = 1 << 7
)

// devices lists the devices of all platforms, GPUs first.
func (a *api) devices() ([]device, error) {
	var out []device
	var names []string
	for _, p := range a.platforms {
		name, err := a.info(getPlatformInfo, p, platformName)
		if err != nil {
			return nil, err
		}
		names = append(names, text(name))
		ids, err := a.listDevices(p)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			d := device{api: a, platform: p, id: id}
			if d.kind, err = d.number(deviceType); err != nil {
				return nil, err
			}
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s: platforms without a device: %s", runtime.ErrUnavailable, a.path, strings.Join(names, ", "))
	}
	rank := func(d device) int {
		switch {
		case d.kind&typeGPU != 0:
			return 0
		case d.kind&typeCPU == 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(x, y device) int { return rank(x) - rank(y) })
	return out, nil
}

func (a *api) listDevices(platform uintptr) ([]uintptr, error) {
	const all = 0xFFFFFFFF
	var n uint32
	code := int32(call(a.at[getDeviceIDs], platform, all, 0, 0, uintptr(unsafe.Pointer(&n))))
	if code == deviceNotFound || code == 0 && n == 0 {
		return nil, nil
	}
	if code != 0 {
		return nil, status(entryNames[getDeviceIDs], code)
	}
	const most = 256
	ids := make([]uintptr, min(n, most))
	return ids, a.do(getDeviceIDs, platform, all, uintptr(len(ids)), uintptr(unsafe.Pointer(&ids[0])), 0)
}

func text(b []byte) string { return strings.TrimRight(string(b), "\x00 ") }

// number returns information that is an integer.
func (d device) number(key uint32) (uint64, error) {
	b, err := d.api.info(getDeviceInfo, d.id, key)
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:]), err
}

// words returns information that is text; what a device does not know is empty.
func (d device) words(key uint32) string {
	b, err := d.api.info(getDeviceInfo, d.id, key)
	if err != nil {
		return ""
	}
	return text(b)
}

// profile describes the device.
func (d device) profile(ordinal int) (partition.Profile, error) {
	platform, err := d.api.info(getPlatformInfo, d.platform, platformName)
	if err != nil {
		return partition.Profile{}, err
	}
	p := partition.Profile{
		Name:      fmt.Sprintf("opencl:%d", ordinal),
		Vendor:    fmt.Sprintf("%s, platform %s, driver %s", d.words(deviceName), text(platform), d.words(driverVersion)),
		Operators: gpu.Operators(),
		DTypes:    gpu.DTypes(),
	}
	for key, to := range map[uint32]*int64{deviceMemory: &p.Memory, deviceMaxAlloc: &p.MaxAlloc, deviceAlign: &p.Align} {
		n, err := d.number(key)
		if err != nil {
			return partition.Profile{}, err
		}
		*to = int64(min(n, 1<<62))
	}
	p.Align = max(p.Align/8, 16) // told in bits
	if d.has("cl_khr_device_uuid") {
		if b, err := d.api.info(getDeviceInfo, d.id, deviceUUID); err == nil && len(b) == 16 {
			p.UUID = gpu.UUID([16]byte(b))
		}
	}
	return p, nil
}

// has tells whether the device names an extension.
func (d device) has(extension string) bool {
	return slices.Contains(strings.Fields(d.words(deviceExtensions)), extension)
}

// nvidia tells whether inline PTX works, and the major compute capability.
func (d device) nvidia() (major uint64, ok bool) {
	id, err := d.number(deviceVendorID)
	if err != nil || id != vendorNVIDIA || d.kind&typeGPU == 0 || !d.has("cl_nv_device_attribute_query") {
		return 0, false
	}
	major, err = d.number(computeMajorNVIDIA)
	return major, err == nil
}

// limits are what the kernels must know.
func (d device) limits() (gpu.Limits, error) {
	var l gpu.Limits
	group, err := d.number(deviceGroup)
	if err != nil {
		return l, err
	}
	local, err := d.number(deviceLocal)
	if err != nil {
		return l, err
	}
	units, err := d.number(deviceUnits)
	if err != nil {
		return l, err
	}
	major, nvidia := d.nvidia()
	return gpu.Limits{Group: int(group), Local: int64(local), Units: int(units), Shuffle: nvidia, Tensor: nvidia && major >= 8}, nil
}
