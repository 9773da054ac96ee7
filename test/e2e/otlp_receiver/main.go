// A receiver for the tests: the OTLP receiver of the OpenTelemetry collector, and behind it a file.
// Each record becomes a line of JSON, written before the receiver answers.
//
//	otlp_receiver ADDRESS FILE
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

type line struct {
	Resource   map[string]any `json:"resource"`
	Scope      string         `json:"scope"`
	Time       uint64         `json:"time"`
	Observed   uint64         `json:"observed"`
	Severity   int32          `json:"severity"`
	Text       string         `json:"text"`
	Body       any            `json:"body"`
	Attributes map[string]any `json:"attributes"`
}

type sink struct {
	mutex sync.Mutex
	file  *os.File
}

func (s *sink) write(_ context.Context, logs plog.Logs) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	out := bufio.NewWriter(s.file)
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				text, err := json.Marshal(line{
					Resource: rl.Resource().Attributes().AsRaw(), Scope: sl.Scope().Name(),
					Time: uint64(r.Timestamp()), Observed: uint64(r.ObservedTimestamp()),
					Severity: int32(r.SeverityNumber()), Text: r.SeverityText(), Body: r.Body().AsRaw(),
					Attributes: r.Attributes().AsRaw(),
				})
				if err != nil {
					return err
				}
				fmt.Fprintf(out, "%s\n", text)
			}
		}
	}
	return out.Flush()
}

func run(address, path string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	asked := confmap.NewFromStringMap(map[string]any{
		"protocols": map[string]any{"http": map[string]any{"endpoint": address}}})
	if err := asked.Unmarshal(config); err != nil {
		return err
	}
	next, err := consumer.NewLogs((&sink{file: file}).write)
	if err != nil {
		return err
	}
	settings := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	logs, err := factory.CreateLogs(context.Background(), settings, config, next)
	if err != nil {
		return err
	}
	if err := logs.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		return err
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return logs.Shutdown(context.Background())
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
