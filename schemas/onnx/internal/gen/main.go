// Command gen writes the Go code of onnx.proto with the protocol buffer
// compiler and generator as Go libraries, so that nothing but Go is needed.
// Run it with go generate in schemas/onnx.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	gengo "google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	source = "onnx.proto"
	target = "onnx.pb.go"
	// protoName is what the file is called in the registry of a program; the
	// plain name may be taken by another copy of ONNX's schema.
	protoName = "mnnconv/schemas/onnx/onnx.proto"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FOLDER, the folder of onnx.proto")
		os.Exit(2)
	}
	code, err := generate(os.Args[1])
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Args[1], target), code, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate returns the Go code of the schema in dir.
func generate(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, source))
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{
		Resolver: &protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(map[string]string{protoName: string(text)}),
		},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), protoName)
	if err != nil {
		return nil, err
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{protoName},
		ProtoFile:      []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(files[0])},
	})
	if err != nil {
		return nil, err
	}
	gengo.GenerateFile(plugin, plugin.FilesByPath[protoName])
	response := plugin.Response()
	if response.Error != nil {
		return nil, fmt.Errorf("%s", response.GetError())
	}
	return []byte(response.File[0].GetContent()), nil
}
