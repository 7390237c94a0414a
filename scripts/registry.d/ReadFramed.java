import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaDeserializer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.IndexedRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Reads records with a schema as a Java consumer does, with Apicurio's deserializers and the schemas of a registry:
 * {@code ReadFramed BOOTSTRAP REGISTRY TOPIC --format avro|json [--count N] [--within SECONDS]}; REGISTRY is {@code http://host:port}.
 *
 * <p>Prints each record from the beginning of the topic to its end (with {@code --count}: until there are that many records), one JSON object
 * per line: {@code partition}, {@code offset}, {@code key}, {@code schema_id} (from the frame), {@code schema} (the full name of an Avro
 * record) and {@code value}, in which bytes are an object with {@code hex}. A record that cannot be deserialized has {@code error} and no
 * value. The exit code is 2 if the records are not complete after the time of {@code --within} (default 60 s).
 */
public final class ReadFramed {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

    public static void main(String[] args) throws Exception {
        String topic = args[2];
        String format = "avro";
        long count = 0;
        long seconds = 60;
        for (int i = 3; i < args.length; i += 2) {
            switch (args[i]) {
                case "--format" -> format = args[i + 1];
                case "--count" -> count = Long.parseLong(args[i + 1]);
                case "--within" -> seconds = Long.parseLong(args[i + 1]);
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        long deadline = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        var config = Map.<String, Object>of("bootstrap.servers", args[0], "enable.auto.commit", "false", "allow.auto.create.topics", "false");
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
                var deserializer = deserializer(format, args[1])) {
            List<TopicPartition> partitions =
                    consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long seen = 0;
            Map<TopicPartition, Long> ends = count == 0 ? consumer.endOffsets(partitions) : null;
            while (ends == null || !ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue())) {
                if (System.nanoTime() > deadline) {
                    System.err.println("only " + seen + " records within " + seconds + " s");
                    System.exit(2);
                }
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    ObjectNode line = NODES.objectNode().put("partition", record.partition()).put("offset", record.offset());
                    line.put("key", record.key() == null ? null : new String(record.key(), StandardCharsets.UTF_8));
                    read(deserializer, topic, record.value(), line);
                    System.out.println(JSON.writeValueAsString(line));
                    seen++;
                }
                if (ends == null && seen >= count) {
                    ends = consumer.endOffsets(partitions);
                }
            }
        }
    }

    private static Deserializer<?> deserializer(String format, String registry) {
        Map<String, Object> config = new HashMap<>();
        config.put("apicurio.registry.url", registry + "/apis/registry/v2");
        // The Confluent wire format: a zero byte, four bytes with the id of the schema, the value.
        config.put("apicurio.registry.as-confluent", true);
        config.put("apicurio.registry.use-id", "contentId");
        config.put("apicurio.registry.headers.enabled", false);
        config.put("apicurio.registry.serde.validation-enabled", true);
        config.put("apicurio.registry.deserializer.value.return-class", JsonNode.class.getName());
        if (format.equals("avro")) {
            config.remove("apicurio.registry.deserializer.value.return-class");
        }
        Deserializer<?> deserializer = switch (format) {
            case "avro" -> new AvroKafkaDeserializer<Object>();
            case "json" -> new JsonSchemaKafkaDeserializer<JsonNode>();
            default -> throw new IllegalArgumentException("unknown format " + format + ": expected avro or json");
        };
        deserializer.configure(config, false);
        return deserializer;
    }

    private static void read(Deserializer<?> deserializer, String topic, byte[] bytes, ObjectNode line) {
        try {
            var frame = ByteBuffer.wrap(bytes);
            if (frame.get() != 0) {
                throw new IllegalArgumentException("the value is not framed: its first byte is not zero");
            }
            line.put("schema_id", frame.getInt());
            Object value = deserializer.deserialize(topic, bytes);
            if (value instanceof IndexedRecord record) {
                line.put("schema", record.getSchema().getFullName());
            }
            line.set("value", node(value));
        } catch (RuntimeException e) {
            line.put("error", e.toString());
        }
    }

    private static JsonNode node(Object value) {
        if (value instanceof IndexedRecord record) {
            var object = NODES.objectNode();
            record.getSchema().getFields().forEach(field -> object.set(field.name(), node(record.get(field.pos()))));
            return object;
        } else if (value instanceof Map<?, ?> map) {
            var object = NODES.objectNode();
            map.forEach((key, entry) -> object.set(key.toString(), node(entry)));
            return object;
        } else if (value instanceof Iterable<?> all && !(value instanceof JsonNode)) {
            var array = NODES.arrayNode();
            all.forEach(one -> array.add(node(one)));
            return array;
        } else if (value instanceof ByteBuffer buffer) {
            byte[] bytes = new byte[buffer.remaining()];
            buffer.duplicate().get(bytes);
            return NODES.objectNode().put("hex", HexFormat.of().formatHex(bytes));
        } else if (value instanceof GenericFixed fixed) {
            return NODES.objectNode().put("hex", HexFormat.of().formatHex(fixed.bytes()));
        } else if (value instanceof CharSequence || value instanceof Enum<?>) {
            return NODES.textNode(value.toString());
        }
        return JSON.valueToTree(value);
    }
}
