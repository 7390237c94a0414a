import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;

/** Waits until all replicas of all partitions are in sync: {@code AwaitInSync BOOTSTRAP}. The exit code is 2 if they are not after a minute. */
public final class AwaitInSync {
    public static void main(String[] args) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", "30000"))) {
            while (!inSync(admin)) {
                if (System.nanoTime() > deadline) {
                    System.err.println("some replicas are still not in sync after a minute");
                    System.exit(2);
                }
                Thread.sleep(100);
            }
        }
    }

    private static boolean inSync(Admin admin) throws ExecutionException, InterruptedException {
        var names = admin.listTopics().names().get();
        return admin.describeTopics(names).allTopicNames().get().values().stream()
                .flatMap(topic -> topic.partitions().stream())
                .allMatch(partition -> partition.isr().size() == partition.replicas().size());
    }
}
