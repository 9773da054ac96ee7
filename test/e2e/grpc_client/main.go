// Streams access logs to logtrain with grpc-go and the messages that Envoy publishes: what test_envoy_real.py compares the client
// made of bytes with. Built by scripts/grpc-client.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	service "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func entry(i int) *data.HTTPAccessLogEntry {
	second := durationpb.New(time.Second)
	details, _ := structpb.NewStruct(map[string]any{"list": []any{1.5, "two", true, nil}, "deep": map[string]any{"k": "v"}})
	return &data.HTTPAccessLogEntry{
		CommonProperties: &data.AccessLogCommon{
			UpstreamCluster:            "outbound|80||web.shop.svc.cluster.local",
			StartTime:                  &timestamppb.Timestamp{Seconds: 1604400000, Nanos: 123456000},
			TimeToLastUpstreamTxByte:   second,
			TimeToLastUpstreamRxByte:   second,
			TimeToLastDownstreamTxByte: second,
			TlsProperties: &data.TLSProperties{
				TlsVersion:     data.TLSProperties_TLSv1_2,
				TlsSniHostname: "www.example.com",
			},
			ResponseFlags: &data.ResponseFlags{UpstreamOverflow: true},
			Metadata:      &core.Metadata{FilterMetadata: map[string]*structpb.Struct{"details": details}},
			CustomTags:    map[string]string{"zone": "a"},
		},
		ProtocolVersion: data.HTTPAccessLogEntry_HTTP2,
		Request: &data.HTTPRequestProperties{
			RequestMethod: core.RequestMethod_POST, RequestId: "x-request-id", ForwardedFor: "1.1.1.1", Authority: "authority",
			RequestHeadersBytes: 100, RequestBodyBytes: 200, Path: fmt.Sprintf("/fee n=%d", i),
		},
		Response: &data.HTTPResponseProperties{
			ResponseCode: wrapperspb.UInt32(200), ResponseHeadersBytes: 100, ResponseBodyBytes: 200,
		},
	}
}

func run(addr, version string, messages, entries int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true},
		"/envoy.service.accesslog."+version+".AccessLogService/StreamAccessLogs")
	if err != nil {
		return err
	}
	for m := 0; m < messages; m++ {
		logs := &service.StreamAccessLogsMessage_HTTPAccessLogEntries{}
		for i := 0; i < entries; i++ {
			logs.LogEntry = append(logs.LogEntry, entry(m*entries+i))
		}
		message := &service.StreamAccessLogsMessage{
			LogEntries: &service.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs},
		}
		if m == 0 {
			message.Identifier = &service.StreamAccessLogsMessage_Identifier{
				Node: &core.Node{Id: "node", Cluster: "web.shop"}, LogName: "grpc-go",
			}
		}
		if err := stream.SendMsg(message); err == io.EOF {
			break // the server has answered: RecvMsg tells what
		} else if err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&service.StreamAccessLogsResponse{})
}

func main() {
	addr := flag.String("addr", "127.0.0.1:9001", "where the service is")
	version := flag.String("version", "v3", "of the service: v2 or v3")
	messages := flag.Int("messages", 1, "how many")
	entries := flag.Int("entries", 1, "of each")
	flag.Parse()
	if err := run(*addr, *version, *messages, *entries); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}
