// What other programs of a fleet see: HashiCorp's own client of Consul, and go-kit's instancers of Consul and ZooKeeper, as
// the Go Talaria, Petasos and Scytale use them. Each command prints JSON, one value on each line.
//
// The tests compare what these clients believe with what the gateways registered, and drive the stand-in for Consul with them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/kit/sd"
	sdconsul "github.com/go-kit/kit/sd/consul"
	sdzk "github.com/go-kit/kit/sd/zk"
	"github.com/go-kit/log"
	"github.com/hashicorp/consul/api"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: fleet-client COMMAND ADDRESS [ARGUMENTS]"))
	}
	command, address, rest := os.Args[1], os.Args[2], os.Args[3:]
	argument := func(at int) string {
		if at < len(rest) {
			return rest[at]
		}
		return ""
	}
	switch command {
	case "services":
		services, err := consul(address, argument(0)).Agent().Services()
		check(err)
		print(services)
	case "checks":
		checks, err := consul(address, argument(0)).Agent().Checks()
		check(err)
		print(checks)
	case "datacenters":
		datacenters, err := consul(address, "").Catalog().Datacenters()
		check(err)
		print(datacenters)
	case "health":
		health(consul(address, argument(1)), argument(0))
	case "block":
		block(consul(address, ""), argument(0))
	case "life":
		life(consul(address, ""))
	case "instances-consul":
		instances(sdconsul.NewInstancer(sdconsul.NewClient(consul(address, "")), log.NewNopLogger(), argument(0), nil, true), argument(1))
	case "instances-zookeeper":
		client := zookeeper(address)
		var instancer *sdzk.Instancer
		retried(func() (err error) {
			instancer, err = sdzk.NewInstancer(client, argument(0), log.NewNopLogger())
			return err
		})
		instances(instancer, argument(1))
	case "register-zookeeper":
		client := zookeeper(address)
		service := sdzk.Service{Path: argument(0), Name: argument(1), Data: []byte(argument(2))}
		retried(func() error { return client.Register(&service) })
		time.Sleep(3 * time.Second)
		client.Stop()
	default:
		fail(fmt.Errorf("unknown command %s", command))
	}
}

// A client that waits longer than by default, for a machine that is busy.
func zookeeper(address string) sdzk.Client {
	patience := 20 * time.Second
	client, err := sdzk.NewClient(strings.Split(address, ","), log.NewNopLogger(), sdzk.ConnectTimeout(patience), sdzk.SessionTimeout(patience))
	check(err)
	return client
}

// The client gives up what it was asked when it has tried each server once; it goes on connecting.
func retried(ask func() error) {
	const noServer = "zk: could not connect to a server"
	err := ask()
	for end := time.Now().Add(20 * time.Second); err != nil && err.Error() == noServer && time.Now().Before(end); err = ask() {
		time.Sleep(100 * time.Millisecond)
	}
	check(err)
}

func consul(address, token string) *api.Client {
	config := api.DefaultConfig()
	config.Address, config.Token = address, token
	client, err := api.NewClient(config)
	check(err)
	return client
}

// What the client believes of a service whose checks pass, or of the error.
func health(client *api.Client, service string) {
	entries, meta, err := client.Health().Service(service, "", true, nil)
	if err != nil {
		print(map[string]any{"error": err.Error(), "retryable": api.IsRetryableError(err)})
		return
	}
	print(map[string]any{"entries": entries, "index": meta.LastIndex, "knownLeader": meta.KnownLeader})
}

// A blocking query: the index and the number of instances before and after a change, and how long it waited.
func block(client *api.Client, service string) {
	entries, meta, err := client.Health().Service(service, "", false, nil)
	check(err)
	print(map[string]any{"instances": len(entries), "index": meta.LastIndex})
	begun := time.Now()
	options := &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 20 * time.Second}
	entries, meta, err = client.Health().Service(service, "", false, options)
	check(err)
	print(map[string]any{"instances": len(entries), "index": meta.LastIndex, "waitedMs": time.Since(begun).Milliseconds()})
}

// A registration with a check that has a time to live, from its beginning to its end.
func life(client *api.Client) {
	agent := client.Agent()
	state := func() string {
		checks, err := agent.Checks()
		check(err)
		if found, ok := checks["alive"]; ok {
			return found.Status
		}
		return "gone"
	}
	await := func(status string) {
		for end := time.Now().Add(20 * time.Second); state() != status; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				fail(fmt.Errorf("the check is %s, expected %s", state(), status))
			}
		}
		print(status)
	}
	check(agent.ServiceRegister(&api.AgentServiceRegistration{
		ID: "mortal", Name: "mortal", Port: 1,
		Check: &api.AgentServiceCheck{CheckID: "alive", TTL: "1s", DeregisterCriticalServiceAfter: "1s"},
	}))
	print(state())
	check(agent.UpdateTTL("alive", "well", "pass"))
	print(state())
	await("critical")
	await("gone")
	print(agent.UpdateTTL("alive", "well", "pass") != nil)
	check(agent.ServiceRegister(&api.AgentServiceRegistration{ID: "mortal", Name: "mortal", Port: 1}))
	check(agent.ServiceDeregister("mortal"))
	services, err := agent.Services()
	check(err)
	print(len(services))
}

// What go-kit's instancer sees, until it sees so many instances.
func instances(instancer sd.Instancer, expected string) {
	count, err := strconv.Atoi(expected)
	check(err)
	events := make(chan sd.Event, 16)
	instancer.Register(events)
	for end := time.After(30 * time.Second); ; {
		select {
		case event := <-events:
			check(event.Err)
			sort.Strings(event.Instances)
			if len(event.Instances) == count {
				print(event.Instances)
				return
			}
		case <-end:
			fail(fmt.Errorf("never saw %d instances", count))
		}
	}
}

func print(value any) {
	text, err := json.Marshal(value)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "fleet-client:", err)
	os.Exit(1)
}
