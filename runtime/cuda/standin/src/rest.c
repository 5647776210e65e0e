// Entry points that the project does not call and other bindings link with: each says
// CUDA_ERROR_NOT_SUPPORTED.
#define REST(name) \
  int name(void) { return 801; }

REST(cuArray3DCreate_v2) REST(cuArray3DGetDescriptor_v2) REST(cuArrayCreate_v2) REST(cuArrayDestroy) REST(cuArrayGetDescriptor_v2)
REST(cuCtxCreate_v2) REST(cuCtxDestroy_v2) REST(cuCtxDisablePeerAccess) REST(cuCtxEnablePeerAccess) REST(cuCtxGetApiVersion)
REST(cuCtxGetCacheConfig) REST(cuCtxGetCurrent) REST(cuCtxGetDevice) REST(cuCtxGetFlags) REST(cuCtxGetLimit) REST(cuCtxGetSharedMemConfig)
REST(cuCtxGetStreamPriorityRange) REST(cuCtxPopCurrent_v2) REST(cuCtxPushCurrent_v2) REST(cuCtxResetPersistingL2Cache) REST(cuCtxSetCacheConfig)
REST(cuCtxSetLimit) REST(cuCtxSetSharedMemConfig) REST(cuCtxSynchronize) REST(cuDeviceGetP2PAttribute)
REST(cuDevicePrimaryCtxGetState) REST(cuDevicePrimaryCtxReset_v2) REST(cuDevicePrimaryCtxSetFlags_v2) REST(cuFuncGetAttribute)
REST(cuFuncSetCacheConfig) REST(cuFuncSetSharedMemConfig) REST(cuGraphAddChildGraphNode) REST(cuGraphAddDependencies) REST(cuGraphAddEmptyNode)
REST(cuGraphAddHostNode) REST(cuGraphAddKernelNode_v2) REST(cuGraphAddMemcpyNode) REST(cuGraphAddMemsetNode) REST(cuGraphClone) REST(cuGraphCreate)
REST(cuGraphDestroyNode) REST(cuGraphGetEdges) REST(cuLinkAddData_v2) REST(cuLinkAddFile_v2) REST(cuLinkComplete) REST(cuLinkCreate_v2)
REST(cuLinkDestroy) REST(cuMemAdvise) REST(cuMemAllocManaged) REST(cuMemAllocPitch_v2) REST(cuMemGetAddressRange_v2) REST(cuMemPrefetchAsync)
REST(cuMemcpy) REST(cuMemcpy2DAsync_v2) REST(cuMemcpy2DUnaligned_v2) REST(cuMemcpy2D_v2) REST(cuMemcpy3DAsync_v2) REST(cuMemcpy3DPeer)
REST(cuMemcpy3DPeerAsync) REST(cuMemcpy3D_v2) REST(cuMemcpyAsync) REST(cuMemcpyAtoA_v2) REST(cuMemcpyAtoD_v2) REST(cuMemcpyAtoHAsync_v2)
REST(cuMemcpyAtoH_v2) REST(cuMemcpyDtoA_v2) REST(cuMemcpyDtoD_v2) REST(cuMemcpyHtoAAsync_v2) REST(cuMemcpyHtoA_v2) REST(cuMemcpyPeer)
REST(cuMemcpyPeerAsync) REST(cuMemsetD16Async) REST(cuMemsetD16_v2) REST(cuMemsetD2D16Async) REST(cuMemsetD2D16_v2) REST(cuMemsetD2D32Async)
REST(cuMemsetD2D32_v2) REST(cuMemsetD2D8Async) REST(cuMemsetD2D8_v2) REST(cuMemsetD32Async) REST(cuMemsetD32_v2) REST(cuMemsetD8_v2)
REST(cuModuleGetGlobal_v2) REST(cuModuleGetSurfRef) REST(cuModuleGetTexRef) REST(cuModuleLoad) REST(cuModuleLoadData) REST(cuModuleLoadFatBinary)
REST(cuOccupancyMaxActiveBlocksPerMultiprocessor) REST(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags) REST(cuPointerGetAttribute)
REST(cuPointerSetAttribute) REST(cuStreamAttachMemAsync) REST(cuStreamCreateWithPriority) REST(cuStreamGetFlags) REST(cuStreamGetPriority)
REST(cuStreamQuery) REST(cuStreamWaitValue32_v2) REST(cuStreamWriteValue32_v2) REST(cuSurfRefGetArray) REST(cuSurfRefSetArray)
REST(cuTexRefGetAddressMode) REST(cuTexRefGetAddress_v2) REST(cuTexRefGetArray) REST(cuTexRefGetBorderColor) REST(cuTexRefGetFilterMode)
REST(cuTexRefGetFlags) REST(cuTexRefGetFormat) REST(cuTexRefGetMaxAnisotropy) REST(cuTexRefSetAddress2D_v3) REST(cuTexRefSetAddressMode)
REST(cuTexRefSetAddress_v2) REST(cuTexRefSetArray) REST(cuTexRefSetBorderColor) REST(cuTexRefSetFilterMode) REST(cuTexRefSetFlags)
REST(cuTexRefSetFormat) REST(cuTexRefSetMaxAnisotropy) REST(cuTexRefSetMipmapFilterMode) REST(cuTexRefSetMipmapLevelBias)
REST(cuTexRefSetMipmapLevelClamp)
