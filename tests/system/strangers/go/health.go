// Calls a health service 2,000 times by grpc-go, from 100 goroutines over 4 connections with keepalive; says how
// many calls were answered.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

const (
	connections = 4
	callers     = 25 // of each connection
	calls       = 20 // of each caller
)

func call(client health.HealthClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := client.Check(ctx, &health.HealthCheckRequest{})
	return err
}

func main() {
	pings := keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}
	var group sync.WaitGroup
	var answered int64
	for range [connections]int{} {
		conn, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithKeepaliveParams(pings))
		if err != nil {
			panic(err)
		}
		client := health.NewHealthClient(conn)
		for range [callers]int{} {
			group.Add(1)
			go func() {
				defer group.Done()
				for range [calls]int{} {
					if err := call(client); err != nil {
						fmt.Fprintln(os.Stderr, err)
						continue
					}
					atomic.AddInt64(&answered, 1)
				}
			}()
		}
	}
	group.Wait()
	fmt.Println(answered)
}
