package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Key is one setting, for documentation and for reading variables and flags.
type Key struct {
	Path    string // "https.listen", "trunks[].host"
	Doc     string
	Type    string // "text", "number", "yes or no", "duration", "address", "list of …"
	Default string // as written in a file; "" for none
	Env     string // the variable; "" for settings within lists
	Flag    string // without the dashes; "" for none
	Secret  bool

	index []int
}

// value returns the key's field of the Config.
func (k Key) value(config reflect.Value) reflect.Value { return config.FieldByIndex(k.index) }

// Keys returns all settings in the order of the documentation.
func Keys() []Key {
	d := Default()
	return keysOf(reflect.ValueOf(d), "", nil, true)
}

func keysOf(v reflect.Value, prefix string, index []int, settable bool) []Key {
	var keys []Key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		path := join(prefix, keyOf(f))
		at := append(append([]int{}, index...), i)
		switch {
		case isSection(f.Type):
			keys = append(keys, keysOf(v.Field(i), path, at, settable)...)
		case f.Type.Kind() == reflect.Slice && isSection(f.Type.Elem()):
			keys = append(keys, keysOf(reflect.New(f.Type.Elem()).Elem(), path+"[]", nil, false)...)
		default:
			k := Key{
				Path: path, Doc: f.Tag.Get("doc"), Type: typeName(f.Type), Default: written(v.Field(i)),
				Secret: f.Tag.Get("secret") == "true",
			}
			if settable {
				k.Env = EnvPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
				k.Flag = f.Tag.Get("flag")
				k.index = at
			}
			keys = append(keys, k)
		}
	}
	return keys
}

func keyOf(f reflect.StructField) string { return f.Tag.Get("key") }

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = keyOf(t.Field(i))
	}
	return names
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); keyOf(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// isSection reports whether values of the type hold settings of their own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[netip.Addr]():
		return "IP address"
	case reflect.TypeFor[netip.Prefix]():
		return "network"
	case reflect.TypeFor[PortRange]():
		return "port range"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	default:
		return "text"
	}
}

// written returns a value as it would be written in a file, "" for the zero value.
func written(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return shortDuration(value)
	case fmt.Stringer:
		return value.String()
	}
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = written(v.Index(i))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v.Interface())
}

// shortDuration writes 4h0m0s as 4h.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// setText gives a single value what a person wrote.
func setText(v reflect.Value, text string) error {
	switch target := v.Addr().Interface().(type) {
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a duration, as 90s, 30m or 4h")
		}
		*target = d
		return nil
	case *netip.Addr:
		a, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("must be an IP address")
		}
		*target = a.Unmap()
		return nil
	case *netip.Prefix:
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		*target = p
		return nil
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		switch text {
		case "true", "false":
			v.SetBool(text == "true")
		default:
			return fmt.Errorf("must be true or false")
		}
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil {
			return fmt.Errorf("must be a whole number")
		}
		v.SetInt(n)
	default:
		v.SetString(text)
	}
	return nil
}

// parsePrefix reads a network or a single address.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("must be an IP address or a network, as 192.0.2.0/24")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits after the mask; did you mean %s?", p.Masked())
	}
	return p, nil
}
