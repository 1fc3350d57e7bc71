// The addon's table of functions. Linux only; `src-native/addon.ts` types and loads it.
#include "datapath/binding.h"
#include "glue.h"

namespace {

// What addon.ts expects; raised with every change of a function, so that a stale build is noticed and not called.
constexpr int kVersion = 8;

struct Export {
  const char* name;
  napi_callback call;
};

constexpr Export kExports[] = {
    {"openTun", pintail::openTun},
    {"bringUp", pintail::bringUp},
    {"writeTun", pintail::writeTun},
    {"tunIsUp", pintail::tunIsUp},
    {"openUdp", pintail::openUdp},
    {"sendUdp", pintail::sendUdp},
    {"startReader", pintail::startReader},
    {"stopReader", pintail::stopReader},
    {"readerTruncated", pintail::readerTruncated},
    {"peerCredentials", pintail::peerCredentials},
    {"setSocketMark", pintail::setSocketMark},
    {"createMarkedSocket", pintail::createMarkedSocket},
    {"hasAead", pintail::hasAead},
    {"createAead", pintail::createAead},
    {"seal", pintail::seal},
    {"open", pintail::openSealed},
    {"closeFd", pintail::closeFd},
    {"sendUnixDatagram", pintail::sendUnixDatagram},
    {"icmpEcho", pintail::icmpEcho},
    {"startNetworkWatch", pintail::startNetworkWatch},
    {"stopNetworkWatch", pintail::stopNetworkWatch},
};

}  // namespace

NAPI_MODULE_INIT() {
  for (const Export& entry : kExports) {
    napi_value function = nullptr;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.call, nullptr, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  pintail::setMember(env, exports, "dataPath", pintail::dataPathFunctions(env));
  pintail::setMember(env, exports, "version", pintail::number(env, kVersion));
  return exports;
}
