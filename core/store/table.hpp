// An ordered table that can be copied in a moment, however much it holds.
//
// Rows stand in pages, sorted by key, and a page is shared by all copies of its table until one of
// them writes to it: then that copy first makes a page of its own. So a copy for a snapshot costs
// one pointer per page, and what it costs later is spread over the writes that touch old pages.
//
// Whether a page may be written in place is told by its epoch, not by counting its owners: a copy
// gives both tables a new epoch, and only pages of a table's present epoch are its alone. That is
// the same on every machine, and needs no agreement with a thread that lets its copy go.
//
// Copies may be read and destroyed on any thread; copying is for the thread that owns the original.
// References and visits are invalidated by any change of the table. Order is that of the keys: how
// the rows are divided into pages depends on history and is never visible.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace skep::store {

// Small enough that a page is copied in microseconds, large enough that a million rows are some ten
// thousand pages.
inline constexpr size_t kPageRows = 128;

template <class Key, class Value>
class Table {
 public:
  Table() = default;
  Table(const Table& other) : pages_(other.pages_), size_(other.size_), epoch_(++other.epoch_) {}
  Table& operator=(const Table& other) {
    if (this != &other) *this = Table(other);
    return *this;
  }
  Table(Table&&) noexcept = default;
  Table& operator=(Table&&) noexcept = default;
  ~Table() = default;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Null if there is none; valid until the next change.
  const Value* find(const Key& key) const {
    const size_t page = page_of(key);
    if (page == pages_.size()) return nullptr;
    const std::vector<Item>& items = pages_[page]->items;
    const auto it = place_of(items, key);
    return it != items.end() && it->first == key ? &it->second : nullptr;
  }

  // The value under `key`, made if there is none; valid until the next change.
  Value& at(const Key& key) {
    if (pages_.empty()) {
      pages_.push_back(new_page());
      ++size_;
      return pages_.front()->items.emplace_back(key, Value()).second;
    }
    size_t number = std::min(page_of(key), pages_.size() - 1);
    Page& page = own(number);
    auto it = place_of(page.items, key);
    if (it != page.items.end() && it->first == key) return it->second;
    ++size_;
    if (page.items.size() < kPageRows) return page.items.emplace(it, key, Value())->second;
    // Keys that come in order, as from a snapshot, fill their pages; others find half-full ones.
    const bool appended = it == page.items.end() && number + 1 == pages_.size();
    split(number, appended ? kPageRows : kPageRows / 2);
    if (pages_[number]->items.back().first < key) ++number;
    std::vector<Item>& items = pages_[number]->items;
    return items.emplace(place_of(items, key), key, Value())->second;
  }

  // False if there was none.
  bool erase(const Key& key) {
    if (find(key) == nullptr) return false;
    const size_t number = page_of(key);
    Page& page = own(number);
    page.items.erase(place_of(page.items, key));
    --size_;
    if (page.items.empty()) {
      pages_.erase(pages_.begin() + static_cast<ptrdiff_t>(number));
    } else if (number + 1 < pages_.size() &&
               page.items.size() + pages_[number + 1]->items.size() <= kPageRows / 2) {
      const std::vector<Item>& next = pages_[number + 1]->items;
      page.items.insert(page.items.end(), next.begin(), next.end());
      pages_.erase(pages_.begin() + static_cast<ptrdiff_t>(number + 1));
    }
    return true;
  }

  // visit(key, value) from the first key that is not less than `from`, in order, until it returns
  // false.
  template <class Visit>
  void walk(const Key& from, Visit&& visit) const {
    for (size_t number = page_of(from); number < pages_.size(); ++number) {
      const std::vector<Item>& items = pages_[number]->items;
      for (auto it = place_of(items, from); it != items.end(); ++it) {
        if (!visit(it->first, it->second)) return;
      }
    }
  }
  // visit(key, value) for all, in order.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const auto& page : pages_) {
      for (const Item& item : page->items) visit(item.first, item.second);
    }
  }

 private:
  using Item = std::pair<Key, Value>;
  // Never empty between two calls.
  struct Page {
    uint64_t epoch = 0;
    std::vector<Item> items;
  };

  // For const and other items alike.
  template <class Items>
  static auto place_of(Items& items, const Key& key) {
    return std::lower_bound(items.begin(), items.end(), key,
                            [](const Item& item, const Key& k) { return item.first < k; });
  }

  // The first page whose last key is not less than `key`; one past the end if there is none.
  size_t page_of(const Key& key) const {
    const auto it = std::lower_bound(pages_.begin(), pages_.end(), key,
                                     [](const std::shared_ptr<Page>& page, const Key& k) {
                                       return page->items.back().first < k;
                                     });
    return static_cast<size_t>(it - pages_.begin());
  }

  std::shared_ptr<Page> new_page() const {
    auto page = std::make_shared<Page>();
    page->epoch = epoch_;
    page->items.reserve(kPageRows);
    return page;
  }

  // The page, made this table's alone.
  Page& own(size_t number) {
    std::shared_ptr<Page>& page = pages_[number];
    if (page->epoch != epoch_) {
      std::shared_ptr<Page> copy = new_page();
      copy->items.insert(copy->items.end(), page->items.begin(), page->items.end());
      page = std::move(copy);
    }
    return *page;
  }

  // What stands from `keep` on moves to a page of its own behind this one. Nothing moves when
  // `keep` is all there is: the new page then waits for its first row.
  void split(size_t number, size_t keep) {
    std::shared_ptr<Page> behind = new_page();
    std::vector<Item>& items = pages_[number]->items;
    const auto cut = items.begin() + static_cast<ptrdiff_t>(keep);
    behind->items.assign(std::make_move_iterator(cut), std::make_move_iterator(items.end()));
    items.erase(cut, items.end());
    pages_.insert(pages_.begin() + static_cast<ptrdiff_t>(number + 1), std::move(behind));
  }

  std::vector<std::shared_ptr<Page>> pages_;
  size_t size_ = 0;
  mutable uint64_t epoch_ = 0;  // grows with each copy taken, on both sides
};

}  // namespace skep::store
