"""NVIDIA's Python client against a server: HTTP and gRPC give the same, and config.pbtxt parses by Triton's schema."""

import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

http_port, grpc_port, config_file = sys.argv[1:]
http = over_http.InferenceServerClient(f"127.0.0.1:{http_port}")
grpc = over_grpc.InferenceServerClient(f"127.0.0.1:{grpc_port}")
names = ["gathered_2_fp16", "gathered_2_int8", "gathered_2_scale", "cls"]
pixels = np.sin(np.arange(2 * 3 * 16 * 16)).astype(np.float32).reshape(2, 3, 16, 16)

found = []
for client, kind in ((http, over_http), (grpc, over_grpc)):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("small")
    given = kind.InferInput("pixel_values", list(pixels.shape), "FP32")
    given.set_data_from_numpy(pixels)
    answer = client.infer("small", [given], outputs=[kind.InferRequestedOutput(name) for name in names])
    found.append([answer.as_numpy(name) for name in names])
for one, other in zip(*found):
    assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
assert found[0][0].dtype == np.float16 and found[0][0].shape == (2, 17, 12)

assert [model.name for model in grpc.get_model_repository_index().models] == ["small", "small-image"]
assert grpc.get_model_metadata("small").outputs[0].name == http.get_model_metadata("small")["outputs"][0]["name"]
assert grpc.get_model_config("small").config.parameters["sidetune_name"].string_value == "small"
assert http.get_model_config("small")["max_batch_size"] == grpc.get_model_config("small").config.max_batch_size
assert grpc.get_inference_statistics("small").model_stats[0].inference_count == 4
for client, kind in ((http, over_http), (grpc, over_grpc)):
    wrong = kind.InferInput("pixel_values", [1, 3, 16, 16], "FP32")
    wrong.set_data_from_numpy(pixels[:1])
    try:
        client.infer("small", [wrong], outputs=[kind.InferRequestedOutput("logits")])
        sys.exit("an output that is not there was given")
    except Exception as error:
        assert "has no output" in str(error), error

with open(config_file, encoding="utf8") as file:
    config = text_format.Parse(file.read(), model_config_pb2.ModelConfig())
assert config.name == "small" and config.max_batch_size == 8
assert config.output[0].data_type == model_config_pb2.TYPE_FP16
print("all as it has to be")
