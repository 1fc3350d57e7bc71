// The data path as one object of functions.
#pragma once

#include <node_api.h>

namespace pintail {

napi_value dataPathFunctions(napi_env env);

// In aead-binding.cpp.
napi_value aeadProblem(napi_env env, napi_callback_info info);
napi_value aeadBatch(napi_env env, napi_callback_info info);
napi_value aeadTime(napi_env env, napi_callback_info info);
napi_value filterRate(napi_env env, napi_callback_info info);

}  // namespace pintail
