## Benchmarks (JSON=FILE also writes the numbers; ARGS= for flags, see bench/README.md)
.PHONY: bench instructions bench-full bench-history bench-speed bench-memory bench-latency bench-gc bench-allocs bench-utilisation bench-expiry
.PHONY: bench-fleet bench-gateway bench-nginx soak-gateway bench-rust hitratio hitratio-full hitratio-phases hitratio-battery hitratio-bytes policysim traces

BENCH    := $(TARGET)/larder-bench
HITRATIO := $(TARGET)/larder-hitratio
GATEWAYLOAD := $(TARGET)/larder-gatewayload
FLEET    := $(TARGET)/larder-fleetbench
JSON_FLAG = $(if $(JSON),-json $(abspath $(JSON)))
# The folder of traces to replay; nothing: synthetic ones.
TRACES ?= $(firstword $(wildcard ../shared/traces traces))
TRACES_FLAG = $(if $(TRACES),-traces $(abspath $(TRACES)))
# Result files of releases: DATE-PROCESSOR.json, so that the order of names is that of time.
OLD ?= $(lastword $(filter-out $(NEW),$(sort $(wildcard bench/history/*.json))))
NEW ?= $(lastword $(sort $(wildcard bench/history/*.json)))
CURVES ?= $(TARGET)/miss-ratio-curves

# go does not relink a program when only the archive has changed.
.PHONY: $(BENCH) $(HITRATIO) $(GATEWAYLOAD)
$(BENCH): lib
	@rm -f $@
	@cd bench && $(GO) build -o $@ .
$(HITRATIO): lib
	@rm -f $@
	@cd bench && $(GO) build -o $@ ./hitratio

$(GATEWAYLOAD): lib
	@rm -f $@
	@cd bench && $(GO) build -o $@ ./gateway

bench: $(BENCH) ## Get and set beside some peers, and bytes per entry: 3 minutes
	@$(BENCH) speed $(JSON_FLAG) $(ARGS)
	@$(BENCH) memory
instructions: $(STATIC) ## Instructions of a get, an overwriting and an evicting set, by callgrind: for a busy machine too (needs valgrind)
	@$(CC) -O2 -g -std=c99 -Iinclude bench/c/instructions.c -o $(TARGET)/instructions $(STATIC) $(NATIVE_LIBS)
	@bench/c/instructions.sh $(TARGET)/instructions
.PHONY: bench-server
bench-server: server ## larder-server beside redis-server and valkey-server, as far as they are there (needs redis-tools)
	@bench/scripts/server.sh larder="$(TARGET)/release/larder-server --maxmemory 256mb" \
	    $(if $(wildcard $(REDIS_SERVERS)/valkey-server),valkey="$(REDIS_SERVERS)/valkey-server --save ''" \
	    valkey-io2="$(REDIS_SERVERS)/valkey-server --save '' --io-threads 2") \
	    $(if $(shell command -v redis-server),redis="redis-server --save ''")
bench-full: $(BENCH) ## The same with every peer, size and case: some 30 minutes
	@$(BENCH) speed -full $(JSON_FLAG) $(ARGS)
	@$(BENCH) memory -full
bench-history: $(BENCH) ## What got 10 % worse, beside the peers, between two result files (OLD=, NEW=; default: the two latest of bench/history)
	@$(BENCH) history $(ARGS) $(abspath $(OLD)) $(abspath $(NEW))
bench-memory: $(BENCH) ## Resident bytes of an entry over its key and value, every peer
	@$(BENCH) memory -full $(JSON_FLAG) $(ARGS)
bench-latency: $(BENCH) ## Distribution of the time of single sets
	@$(BENCH) latency $(JSON_FLAG) $(ARGS)
bench-gc: $(BENCH) ## What 5 million cached entries cost through Go's collector
	@$(BENCH) gc $(JSON_FLAG) $(ARGS)
bench-allocs: $(BENCH) ## Allocations of a get and a set
	@$(BENCH) allocs $(JSON_FLAG) $(ARGS)
bench-utilisation: $(BENCH) ## How much of the budget live entries fill, and the write amplification
	@$(BENCH) utilisation $(JSON_FLAG) $(ARGS)
bench-expiry: $(BENCH) ## How soon expired bytes are free, and what that costs
	@$(BENCH) expiry $(JSON_FLAG) $(ARGS)
bench-gateway: $(GATEWAYLOAD) $(TARGET)/gateway ## Cached routes beside a static handler: throughput, open loop, expiring (needs wrk): 5 minutes
	@bench/scripts/gateway.sh $(TARGET)/gateway $(GATEWAYLOAD) bench
bench-nginx: $(GATEWAYLOAD) $(TARGET)/gateway ## The gateway beside nginx on the same upstream (needs wrk and nginx): 3 minutes
	@bench/scripts/gateway.sh $(TARGET)/gateway $(GATEWAYLOAD) nginx
soak-gateway: $(GATEWAYLOAD) $(TARGET)/gateway ## 1,000 clients for one cold key; 5,000 connections held for a minute
	@bench/scripts/gateway.sh $(TARGET)/gateway $(GATEWAYLOAD) soak
bench-fleet: lib ## larder as go-redis' and rueidis' client-side cache beside their own, on a Valkey (ARGS="-only hits"): 2 minutes
	@cd go/redis && $(GO) build -o $(FLEET) ./bench && $(FLEET) $(ARGS)
bench-rust: ## The core beside Rust caches, without the Go side
	@cd bench/rust && $(CARGO) run --quiet --release --target-dir $(TARGET)/bench-rust -- $(ARGS)

hitratio: $(HITRATIO) ## Hit ratios on traces beside peers, LRU and the optimum: 5 minutes (TRACES=folder)
	@$(HITRATIO) $(TRACES_FLAG) -svg $(CURVES) $(JSON_FLAG) $(ARGS)
hitratio-full: $(HITRATIO) ## The same with the large traces: some 40 minutes
	@$(HITRATIO) -full $(TRACES_FLAG) -svg $(CURVES) $(JSON_FLAG) $(ARGS)
hitratio-phases: $(HITRATIO) ## Traces one after the other, and shifting popularity
	@$(HITRATIO) -phases $(TRACES_FLAG) $(JSON_FLAG) $(ARGS)
hitratio-battery: $(HITRATIO) ## Synthetic traces that adaptive policies find hard, beside LRU, MIN, S3-FIFO, otter
	@$(HITRATIO) -battery 8192 -caches "exact LRU,S3-FIFO (simulated),otter" $(JSON_FLAG) $(ARGS)
hitratio-bytes: $(HITRATIO) ## A trace with sizes at equal resident memory, every peer: 10 minutes (ARGS="-resident settled -fixed-sizes")
	@$(HITRATIO) $(TRACES_FLAG) -only cdn-request -policies default -resident after $(JSON_FLAG) $(ARGS)
policysim: ## Traces through the policy's own source, without a cache: ARGS="[-seeds N] TRACES SIZES ..."
	@$(CARGO) run --quiet --release -p larder-policysim -- $(ARGS)
traces: ## Fetch public cache traces into traces/ (needs mvn and unzip)
	@bench/scripts/fetch-traces.sh traces
