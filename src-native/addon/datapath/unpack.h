// Tables as JavaScript packs them (`src-native/pack-tables.ts` draws the layout). Bounds are checked: a short buffer is
// refused as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packet-filter.h"

namespace pintail {

bool unpackPrefixes(const uint8_t* bytes, size_t size, std::vector<Prefix>& prefixes);
bool unpackFilter(const uint8_t* bytes, size_t size, FilterTable& table);

}  // namespace pintail
