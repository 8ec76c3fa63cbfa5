package larder

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Codec says how a Typed turns keys and values into bytes. For example
//
//	larder.Codec[int64, User]{Key: larder.IntKey[int64], Value: larder.JSON[User]()}
//
// Its functions are called by many goroutines at once.
type Codec[K, V any] struct {
	// Key appends what stands for a key to dst, and returns the extended slice. Different
	// keys must come to different bytes. StringKey, BytesKey and IntKey are ready to use.
	Key func(dst []byte, key K) []byte

	// DecodeKey, if not nil, is the opposite of Key, for [Typed.All] and for events; an error
	// says that the bytes are no key of this codec. DecodeStringKey, DecodeBytesKey and
	// DecodeIntKey are ready to use. It must not keep data, nor parts of it, nor write to it.
	DecodeKey func(data []byte) (K, error)

	// Value is for values.
	Value ValueCodec[V]
}

// ValueCodec turns values into bytes and back.
type ValueCodec[V any] struct {
	// Append appends the encoding of a value to dst and returns the extended slice.
	Append func(dst []byte, value V) ([]byte, error)

	// Decode makes a value of an encoding. It must not keep data, nor parts of it, nor
	// write to it.
	Decode func(data []byte) (V, error)
}

// Integer is any integer type.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// StringKey is Codec.Key for strings.
func StringKey[K ~string](dst []byte, key K) []byte { return append(dst, key...) }

// BytesKey is Codec.Key for bytes.
func BytesKey[K ~[]byte](dst []byte, key K) []byte { return append(dst, key...) }

// IntKey is Codec.Key for integers: eight bytes.
func IntKey[K Integer](dst []byte, key K) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(key))
}

// DecodeStringKey is Codec.DecodeKey for StringKey.
func DecodeStringKey[K ~string](data []byte) (K, error) { return K(data), nil }

// DecodeBytesKey is Codec.DecodeKey for BytesKey.
func DecodeBytesKey[K ~[]byte](data []byte) (K, error) { return append(K{}, data...), nil }

// DecodeIntKey is Codec.DecodeKey for IntKey.
func DecodeIntKey[K Integer](data []byte) (K, error) {
	if len(data) != 8 {
		return 0, fmt.Errorf("larder: %d bytes are not the key of an integer", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if uint64(K(n)) != n {
		return 0, fmt.Errorf("larder: %d is out of the range of the key's type", n)
	}
	return K(n), nil
}

// PrefixKey puts a prefix before what another Codec.Key makes, so that several Typed may
// share a Cache. The prefix goes with its length, so that of two prefixes one may begin like
// the other: keys under one are never keys under another, whatever they are.
func PrefixKey[K any](prefix string, key func(dst []byte, key K) []byte) func(dst []byte, key K) []byte {
	front := appendPrefix(nil, prefix)
	return func(dst []byte, k K) []byte { return key(append(dst, front...), k) }
}

// DecodePrefixKey is Codec.DecodeKey for PrefixKey: it takes the prefix off, and says of keys
// without it that they are none.
func DecodePrefixKey[K any](prefix string, decode func(data []byte) (K, error)) func(data []byte) (K, error) {
	front := appendPrefix(nil, prefix)
	return func(data []byte) (K, error) {
		rest, ok := bytes.CutPrefix(data, front)
		if !ok {
			var none K
			return none, fmt.Errorf("larder: a key without the prefix %q", prefix)
		}
		return decode(rest)
	}
}

// appendPrefix appends the length of a prefix, and it.
func appendPrefix(dst []byte, prefix string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(prefix))), prefix...)
}

// StringValue is for values that are strings.
func StringValue[V ~string]() ValueCodec[V] {
	return ValueCodec[V]{
		Append: func(dst []byte, value V) ([]byte, error) { return append(dst, value...), nil },
		Decode: func(data []byte) (V, error) { return V(data), nil },
	}
}

// BytesValue is for values that are bytes. Each read gets a copy.
func BytesValue[V ~[]byte]() ValueCodec[V] {
	return ValueCodec[V]{
		Append: func(dst []byte, value V) ([]byte, error) { return append(dst, value...), nil },
		Decode: func(data []byte) (V, error) { return append(V{}, data...), nil },
	}
}

// IntValue is for values that are integers: eight bytes. (They are not what
// Cache.Increment counts in, which is decimal text.)
func IntValue[V Integer]() ValueCodec[V] {
	return ValueCodec[V]{
		Append: func(dst []byte, value V) ([]byte, error) {
			return binary.LittleEndian.AppendUint64(dst, uint64(value)), nil
		},
		Decode: func(data []byte) (V, error) {
			if len(data) != 8 {
				return 0, fmt.Errorf("larder: %d bytes are not an integer", len(data))
			}
			return V(binary.LittleEndian.Uint64(data)), nil
		},
	}
}

// JSON is for values that encoding/json can read and write.
func JSON[V any]() ValueCodec[V] {
	return ValueCodec[V]{
		Append: func(dst []byte, value V) ([]byte, error) {
			data, err := json.Marshal(value)
			return append(dst, data...), err
		},
		Decode: func(data []byte) (value V, err error) {
			err = json.Unmarshal(data, &value)
			return value, err
		},
	}
}

// BinaryPointer is what Binary asks of the pointer to a value.
type BinaryPointer[V any] interface {
	*V
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Binary is for values that know how to become bytes, like time.Time: those whose
// pointers have MarshalBinary and UnmarshalBinary. With AppendBinary too, nothing is
// allocated to encode.
func Binary[V any, P BinaryPointer[V]]() ValueCodec[V] {
	return ValueCodec[V]{
		Append: func(dst []byte, value V) ([]byte, error) {
			if a, ok := any(P(&value)).(encoding.BinaryAppender); ok {
				return a.AppendBinary(dst)
			}
			data, err := P(&value).MarshalBinary()
			return append(dst, data...), err
		},
		Decode: func(data []byte) (value V, err error) {
			err = P(&value).UnmarshalBinary(data)
			return value, err
		},
	}
}

// Message is for values that are pointers to messages, with functions like those of
// protocol buffers, on which this package doesn't depend:
//
//	larder.Message(func() *pb.User { return new(pb.User) },
//		func(dst []byte, m *pb.User) ([]byte, error) { return proto.MarshalOptions{}.MarshalAppend(dst, m) },
//		func(data []byte, m *pb.User) error { return proto.Unmarshal(data, m) })
func Message[M any](make func() M, marshalAppend func(dst []byte, m M) ([]byte, error), unmarshal func(data []byte, m M) error) ValueCodec[M] {
	return ValueCodec[M]{
		Append: marshalAppend,
		Decode: func(data []byte) (M, error) {
			m := make()
			if err := unmarshal(data, m); err != nil {
				var none M
				return none, err
			}
			return m, nil
		},
	}
}
