//go:build linux && !nogpu

package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/ebitengine/purego"
)

// symbols are entry points of libcuda.so.1, by the versioned names under which
// CUDA 12 and 13 export them.
type symbols struct {
	init               uintptr `sym:"cuInit"`
	driverGetVersion   uintptr `sym:"cuDriverGetVersion"`
	getErrorName       uintptr `sym:"cuGetErrorName"`
	deviceGetCount     uintptr `sym:"cuDeviceGetCount"`
	deviceGet          uintptr `sym:"cuDeviceGet"`
	deviceGetName      uintptr `sym:"cuDeviceGetName"`
	deviceGetAttribute uintptr `sym:"cuDeviceGetAttribute"`
	deviceTotalMem     uintptr `sym:"cuDeviceTotalMem_v2"`
	deviceGetUUID      uintptr `sym:"cuDeviceGetUuid_v2"`
	primaryCtxRetain   uintptr `sym:"cuDevicePrimaryCtxRetain"`
	primaryCtxRelease  uintptr `sym:"cuDevicePrimaryCtxRelease_v2"`
	ctxSetCurrent      uintptr `sym:"cuCtxSetCurrent"`
	memGetInfo         uintptr `sym:"cuMemGetInfo_v2"`
	memAlloc           uintptr `sym:"cuMemAlloc_v2"`
	memFree            uintptr `sym:"cuMemFree_v2"`
	memHostAlloc       uintptr `sym:"cuMemHostAlloc"`
	memFreeHost        uintptr `sym:"cuMemFreeHost"`
	memcpyHtoDAsync    uintptr `sym:"cuMemcpyHtoDAsync_v2"`
	memcpyDtoHAsync    uintptr `sym:"cuMemcpyDtoHAsync_v2"`
	memcpyDtoDAsync    uintptr `sym:"cuMemcpyDtoDAsync_v2"`
	memsetD8Async      uintptr `sym:"cuMemsetD8Async"`
	memGranularity     uintptr `sym:"cuMemGetAllocationGranularity"`
	memCreate          uintptr `sym:"cuMemCreate"`
	memRelease         uintptr `sym:"cuMemRelease"`
	memAddressReserve  uintptr `sym:"cuMemAddressReserve"`
	memAddressFree     uintptr `sym:"cuMemAddressFree"`
	memMap             uintptr `sym:"cuMemMap"`
	memUnmap           uintptr `sym:"cuMemUnmap"`
	memSetAccess       uintptr `sym:"cuMemSetAccess"`
	memExport          uintptr `sym:"cuMemExportToShareableHandle"`
	memImport          uintptr `sym:"cuMemImportFromShareableHandle"`
	canAccessPeer      uintptr `sym:"cuDeviceCanAccessPeer"`
	streamCreate       uintptr `sym:"cuStreamCreate"`
	streamDestroy      uintptr `sym:"cuStreamDestroy_v2"`
	streamSynchronize  uintptr `sym:"cuStreamSynchronize"`
	streamWaitEvent    uintptr `sym:"cuStreamWaitEvent"`
	streamBeginCapture uintptr `sym:"cuStreamBeginCapture_v2"`
	streamEndCapture   uintptr `sym:"cuStreamEndCapture"`
	eventCreate        uintptr `sym:"cuEventCreate"`
	eventDestroy       uintptr `sym:"cuEventDestroy_v2"`
	eventRecord        uintptr `sym:"cuEventRecord"`
	eventQuery         uintptr `sym:"cuEventQuery"`
	eventSynchronize   uintptr `sym:"cuEventSynchronize"`
	eventElapsedTime   uintptr `sym:"cuEventElapsedTime"`
	moduleLoadDataEx   uintptr `sym:"cuModuleLoadDataEx"`
	moduleUnload       uintptr `sym:"cuModuleUnload"`
	moduleGetFunction  uintptr `sym:"cuModuleGetFunction"`
	funcSetAttribute   uintptr `sym:"cuFuncSetAttribute"`
	launchKernel       uintptr `sym:"cuLaunchKernel"`
	graphInstantiate   uintptr `sym:"cuGraphInstantiateWithFlags"`
	graphLaunch        uintptr `sym:"cuGraphLaunch"`
	graphExecDestroy   uintptr `sym:"cuGraphExecDestroy"`
	graphDestroy       uintptr `sym:"cuGraphDestroy"`
	graphGetNodes      uintptr `sym:"cuGraphGetNodes"`
}

// folders are looked in after the loader's own path.
var folders = []string{"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
	"/usr/lib64", "/usr/lib/wsl/lib", "/usr/local/cuda/lib64"}

// Dlopen opens the first of the named libraries that is found: in the folders of
// the environment variable MNNCONV_CUDA_LIBRARIES, and if that is not set by the
// loader's own path and in well-known folders. extra are patterns of more folders. The
// error says what was looked for.
func Dlopen(extra []string, names ...string) (handle uintptr, path string, err error) {
	var dirs []string
	if list, only := os.LookupEnv("MNNCONV_CUDA_LIBRARIES"); only {
		dirs = filepath.SplitList(list)
	} else {
		dirs = append([]string{""}, folders...)
		for _, pattern := range extra {
			more, _ := filepath.Glob(pattern) // the patterns are constants
			dirs = append(dirs, more...)
		}
	}
	var broken error
	for _, dir := range dirs {
		for _, name := range names {
			file := name
			if dir != "" {
				file = filepath.Join(dir, name)
				if _, err := os.Stat(file); err != nil {
					continue
				}
			}
			handle, err := purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_LOCAL)
			if err == nil {
				return handle, file, nil
			}
			if dir != "" {
				broken = errors.Join(broken, err)
			}
		}
	}
	if dirs = dirs[:min(len(dirs), len(folders)+1)]; len(dirs) > 0 && dirs[0] == "" {
		dirs[0] = "the loader's path"
	}
	err = fmt.Errorf("%s not found in %s", strings.Join(names, " or "), strings.Join(dirs, ", "))
	return 0, "", errors.Join(err, broken)
}

// Bind fills the uintptr fields of a struct with the entry points that their tag
// sym names. An entry point that the library lacks is an error.
func Bind(handle uintptr, into any) error {
	v := reflect.ValueOf(into).Elem()
	var missing []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("sym")
		at, err := purego.Dlsym(handle, name)
		if err != nil {
			missing = append(missing, name)
			continue
		}
		reflect.NewAt(v.Field(i).Type(), v.Field(i).Addr().UnsafePointer()).Elem().SetUint(uint64(at))
	}
	if len(missing) > 0 {
		return fmt.Errorf("it lacks %s", strings.Join(missing, ", "))
	}
	return nil
}
