#!/usr/bin/env bash
# Values() "without the expired" gives one empty value for each of them, at the end; Contains says
# yes to a key that Get does not find.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/hashicorp/golang-lru/v2@v2.0.7 <<'GO'
package main

import (
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

func main() {
	// The sweeper comes once in a hundredth of the time to live: between "a" and "b" there is a
	// moment in which "a" is dead and not yet swept.
	for range 10 {
		cache := expirable.NewLRU[string, string](10, nil, time.Second)
		cache.Add("a", "first")
		time.Sleep(5 * time.Millisecond)
		cache.Add("b", "second")
		for cache.Len() == 2 {
			values := cache.Values()
			_, found := cache.Get("a")
			if contains := cache.Contains("a"); contains && !found && values[1] == "" {
				fmt.Printf("%q, contains %v, get %v\n", values, contains, found)
				return
			}
		}
	}
	fmt.Println("not met")
}
GO
)
report 'hashicorp/golang-lru/v2 v2.0.7, package expirable' \
	'["second"], and Contains false as Get is' \
	'["second" ""], contains true, get false' "$now"
