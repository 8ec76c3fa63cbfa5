package nearcache

import (
	"time"

	larder "github.com/larder-cache/larder/go"
)

// Numbers are those of the records of some keys, for PutWide.
type Numbers []uint64

// Number is the number of a key's record, which is made if there is none. It is for PutWide, and
// counts as a put of the key.
func (t *Table) Number(area uint32, key string) (uint64, error) {
	var room [nameRoom]byte
	name := recordName(room[:0], area, "", key)
	if number, ok := t.numberOf(name); ok {
		return number, nil
	}
	number := t.numbers.Add(1)
	var short [numberTrailer]byte
	return number, t.cache.SetTTL(name, appendNumber(short[:0], number), larder.NoExpiry)
}

// numberOf is the number of the record of a name.
func (t *Table) numberOf(name []byte) (uint64, bool) {
	scratch := borrow()
	defer giveBack(scratch)
	data, ok := t.cache.Get(scratch.data[:0], name)
	scratch.keep(data)
	if !ok {
		return 0, false
	}
	r, ok := parseRecord(data)
	return r.number, ok
}

// GetWide is Get of a reply that depends on several keys.
func (t *Table) GetWide(dst []byte, area uint32, command string) ([]byte, uint64, bool) {
	var room [nameRoom]byte
	out, ok := t.cache.Get(dst, wideName(room[:0], area, command))
	end := len(out) - wideTrailer
	if !ok || end < len(dst) {
		return dst, 0, false
	}
	mark, owner := owned(out[end:])
	keys := little.Uint32(out[end+16:])
	if !t.owners.good(owner) {
		return out[:len(dst)], 0, false
	}
	for range keys {
		at := end - wideKeyBytes
		if at < len(dst) {
			return out[:len(dst)], 0, false
		}
		begin := at - int(little.Uint32(out[at+8:]))
		if begin < len(dst) {
			return out[:len(dst)], 0, false
		}
		name := append(room[:0], recordKind)
		name = little.AppendUint32(name, area)
		name = append(name, out[begin:at]...)
		if number, ok := t.numberOf(name); !ok || number != little.Uint64(out[at:]) {
			return out[:len(dst)], 0, false
		}
		end = begin
	}
	return out[:end], mark, true
}

// PutWide is Put of a reply that depends on several keys, with the numbers of their records, which
// must be asked for after whatever could invalidate the reply would be noticed.
func (t *Table) PutWide(
	body []byte, area uint32, command string, keys []string, numbers Numbers,
	mark uint64, owner Owner, ttl time.Duration,
) error {
	var room [nameRoom]byte
	scratch := borrow()
	defer giveBack(scratch)
	entry := append(scratch.data[:0], body...)
	for i, key := range keys {
		entry = append(entry, key...)
		entry = little.AppendUint64(entry, numbers[i])
		entry = little.AppendUint32(entry, uint32(len(key)))
	}
	entry = appendOwned(entry, mark, owner)
	entry = little.AppendUint32(entry, uint32(len(keys)))
	scratch.keep(entry)
	return t.cache.SetTTL(wideName(room[:0], area, command), entry, ttl)
}

// DropWide removes a reply that depends on several keys.
func (t *Table) DropWide(area uint32, command string) bool {
	var room [nameRoom]byte
	return t.cache.Delete(wideName(room[:0], area, command))
}
