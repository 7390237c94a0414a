import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** Creates a topic with one replica: {@code CreateTopic BOOTSTRAP NAME PARTITIONS}. */
public final class CreateTopic {
    public static void main(String[] args) throws Exception {
        var topic = new NewTopic(args[1], Optional.of(Integer.parseInt(args[2])), Optional.empty());
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", "30000"))) {
            admin.createTopics(List.of(topic)).all().get();
        }
    }
}
