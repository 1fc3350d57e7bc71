#include "glue.h"

#include <unistd.h>

#include <cstring>

namespace pintail {

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
  napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
}

bool Arguments::complain(size_t index, const char* wanted) {
  const std::string message = "argument " + std::to_string(index) + " must be " + wanted;
  napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", message.c_str());
  return false;
}

bool Arguments::readInt(size_t index, int64_t& value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, values_[index], &type);
  if (type == napi_number && napi_get_value_int64(env_, values_[index], &value) == napi_ok) return true;
  return complain(index, "a number");
}

bool Arguments::readText(size_t index, std::string& value) {
  char buffer[256];
  size_t length = 0;
  if (napi_get_value_string_utf8(env_, values_[index], buffer, sizeof buffer, &length) != napi_ok) {
    return complain(index, "a string");
  }
  value.assign(buffer, length);
  return true;
}

bool Arguments::readBuffer(size_t index, uint8_t*& data, size_t& size) {
  void* pointer = nullptr;
  if (napi_get_arraybuffer_info(env_, values_[index], &pointer, &size) != napi_ok || pointer == nullptr) {
    return complain(index, "an ArrayBuffer");
  }
  data = static_cast<uint8_t*>(pointer);
  return true;
}

bool Arguments::readBytes(size_t index, uint8_t*& data, size_t& size) {
  napi_typedarray_type type = napi_int8_array;
  void* pointer = nullptr;
  if (napi_get_typedarray_info(env_, values_[index], &type, &size, &pointer, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    return complain(index, "a Uint8Array");
  }
  data = static_cast<uint8_t*>(pointer);
  return true;
}

bool Arguments::readExternal(size_t index, void*& pointer) {
  if (napi_get_value_external(env_, values_[index], &pointer) == napi_ok && pointer != nullptr) return true;
  return complain(index, "a handle");
}

napi_value throwErrno(napi_env env, const char* what, int error) {
  const char* code = strerrorname_np(error);
  const std::string message = std::string(what) + ": " + strerror(error);
  napi_value codeValue = text(env, code == nullptr ? "UNKNOWN" : code);
  napi_value errorValue = nullptr;
  napi_create_error(env, codeValue, text(env, message), &errorValue);
  setMember(env, errorValue, "errno", number(env, -error));
  napi_throw(env, errorValue);
  return nullptr;
}

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value text(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value.data(), value.size(), &result);
  return result;
}

void setMember(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace pintail
