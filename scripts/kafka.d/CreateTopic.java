import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * Creates a topic: {@code CreateTopic BOOTSTRAP NAME PARTITIONS}. It has as many replicas as there are brokers, at most three. A record
 * with acks=all needs all of them but one.
 */
public final class CreateTopic {
    public static void main(String[] args) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", "30000"))) {
            int replicas = Math.min(3, admin.describeCluster().nodes().get(30, TimeUnit.SECONDS).size());
            var topic = new NewTopic(args[1], Integer.parseInt(args[2]), (short) replicas)
                    .configs(Map.of("min.insync.replicas", Integer.toString(Math.max(1, replicas - 1))));
            admin.createTopics(List.of(topic)).all().get();
        }
    }
}
