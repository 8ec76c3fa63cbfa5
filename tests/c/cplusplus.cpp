// The header in C++17: it compiles without warnings, links without name mangling, and its types fit C++ habits.
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "check.h"

namespace {

struct Free {
    void operator()(larder_cache *cache) const { larder_free(cache); }
};
using Cache = std::unique_ptr<larder_cache, Free>;

const std::uint8_t *data(const std::string &s) { return reinterpret_cast<const std::uint8_t *>(s.data()); }

Cache make(std::uint64_t max_bytes) {
    larder_options options{};
    options.struct_size = sizeof options;
    options.max_bytes = max_bytes;
    larder_cache *cache = nullptr;
    CHECK_STATUS(LARDER_OK, larder_new(&options, &cache));
    return Cache(cache);
}

// Asks for the length, then for the bytes: the loop that a racing overwrite makes necessary.
std::pair<larder_status, std::string> get(const Cache &cache, const std::string &key) {
    std::string value;
    for (;;) {
        std::size_t len = 0;
        auto *room = reinterpret_cast<std::uint8_t *>(value.empty() ? nullptr : &value[0]);
        const larder_status status = larder_get(cache.get(), data(key), key.size(), room, value.size(), &len);
        if (status == LARDER_BUFFER_TOO_SMALL) {
            value.resize(len);
            continue;
        }
        value.resize(status == LARDER_OK ? len : 0);
        return {status, value};
    }
}

larder_status set(const Cache &cache, const std::string &key, const std::string &value) {
    return larder_set(cache.get(), data(key), key.size(), data(value), value.size());
}

} // namespace

static_assert(std::is_trivially_copyable<larder_options>::value, "options are plain data");
static_assert(std::is_trivially_copyable<larder_cursor>::value, "cursors are plain data");
static_assert(sizeof(larder_status) == 4, "a status is 32 bits for every caller");

int main() {
    Cache cache = make(8u << 20);
    CHECK(get(cache, "bread").first == LARDER_NOT_FOUND);
    CHECK_STATUS(LARDER_OK, set(cache, "bread", "rye"));
    CHECK(get(cache, "bread") == std::make_pair(larder_status(LARDER_OK), std::string("rye")));

    const std::string big(1u << 20, 'x');
    CHECK_STATUS(LARDER_OK, set(cache, "big", big));
    CHECK(get(cache, "big").second == big);

    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&cache, t] {
            for (int i = 0; i < 5000; ++i) {
                set(cache, std::to_string(t) + "/" + std::to_string(i % 50), std::string(std::size_t(i % 500), char('a' + t)));
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    for (int t = 0; t < 4; ++t) {
        // The last value of key 49 was written with i = 4999.
        CHECK(get(cache, std::to_string(t) + "/49").second == std::string(499, char('a' + t)));
    }

    Cache other = make(1u << 20);
    other = std::move(cache);
    CHECK(get(other, "bread").second == "rye");
    return check_summary("c++17");
}
