// The data path as one object of functions.
#pragma once

#include <node_api.h>

namespace pintail {

napi_value dataPathFunctions(napi_env env);

}  // namespace pintail
